"""Draw true and estimated flow of test pairs side by side."""

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner import load_checkpoint

from dff.evaluation import EndPointError
from dff.evaluation.end_point_error import enlarge_flow
from dff.files import write_atomically
from dff.visualization.flow import flow_to_color
from dff.visualization.panels import (
    Panel,
    check_picture_path,
    fit,
    panel_grid,
    write_picture,
)
from dff_study.reports.tables import rows_to_markdown


class FlowModel(NamedTuple):
    """Column of the picture: label, config of a `FlowPretrainer`, and checkpoint."""

    label: str
    config: str
    checkpoint: str | None


def save_flow_picture(
    models: Sequence[FlowModel],
    *,
    out: str | os.PathLike,
    pairs: Sequence[int] = (0, 1, 2),
    panel_width: int = 256,
) -> str:
    """Draw a row per pair: current image, true flow, and the flow of each model.

    The colour scale of a row ends at the longest true flow.

    Args:
        models: The first one's test data set has the pairs.
        out: Picture to write, `.png` or `.jpg`.
        pairs: Indices of the pairs.
        panel_width: Width of a panel in pixels.

    Returns:
        Table of end-point errors in pixels, with a row per pair.

    Raises:
        ValueError: There is no model, or a pair is not in the data set.
    """
    check_picture_path(out)
    if not models:
        raise ValueError('models must have at least one entry, got none')
    init_default_scope('mmengine')
    configs = [Config.fromfile(model.config) for model in models]
    dataset = DATASETS.build(configs[0].test_dataloader.dataset)
    if wrong := [index for index in pairs if not 0 <= index < len(dataset)]:
        raise ValueError(f'pairs must be in 0 to {len(dataset) - 1}, got {wrong}')
    networks = [
        _build(cfg, model.checkpoint)
        for cfg, model in zip(configs, models, strict=True)
    ]
    rows, table = [], []
    for index in pairs:
        panels, errors = _draw_pair(dataset[index], networks, models, panel_width)
        rows.append(panels)
        table.append([str(index), *(f'{error:.2f}' for error in errors)])
    with write_atomically(out) as temporary:
        write_picture(panel_grid(rows), temporary)
    return rows_to_markdown(['pair', *(model.label for model in models)], table)


def _build(cfg: Config, checkpoint: str | None) -> torch.nn.Module:
    network = MODELS.build(cfg.model).eval()
    if checkpoint is not None:
        load_checkpoint(network, checkpoint, map_location='cpu', strict=True)
    return network


@torch.no_grad()
def _draw_pair(
    item: dict,
    networks: Sequence[torch.nn.Module],
    models: Sequence[FlowModel],
    panel_width: int,
) -> tuple[list[Panel], list[float]]:
    """Return the panels of one pair, and the error of each model in pixels."""
    target = item['data_samples'].gt_flow.data  # (2, H, W)
    height, width = target.shape[-2:]
    size = round(height * panel_width / width), panel_width
    lengths = torch.linalg.vector_norm(target, dim=0)
    longest = float(lengths[lengths.isfinite()].max())
    image = item['inputs']['cur'].permute(1, 2, 0).numpy()

    def panel(flow: torch.Tensor, line: str) -> Panel:
        field = flow.permute(1, 2, 0).numpy()  # (H, W, 2)
        colors = flow_to_color(field, max_norm=max(longest, 1e-6))
        return Panel(fit(colors, size), [line])

    panels = [Panel(fit(np.ascontiguousarray(image), size), ['current image'])]
    panels.append(panel(target, f'true flow, to {longest:.0f} px'))
    errors = []
    for network, model in zip(networks, models, strict=True):
        batch = pseudo_collate([item])
        sample = network.test_step(batch)[0]
        metric = EndPointError()
        metric.process(batch, [sample.to_dict()])
        errors.append(metric.compute_metrics(metric.results)['epe'])
        flow = enlarge_flow(sample.pred_flow.double(), (height, width))
        panels.append(panel(flow, f'{model.label}: {errors[-1]:.2f} px'))
    return panels, errors
