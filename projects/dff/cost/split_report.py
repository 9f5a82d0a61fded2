"""What wrapping an image model would give at each of its split points."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import MODELS
from tabulate import tabulate

from dff.models.seam.fit_flow import NAMED_SPLITS
from dff.models.wrap import wrap

from .benchmark import make_data, moving_frames, preprocess
from .complexity import count_macs, measure_parts, predicted_speedup


def describe_splits(
    config: str | Path, size: Sequence[int], interval: int, **options: Any
) -> dict[str, dict[str, Any]]:
    """Count the parts of a stock image model, wrapped, at every split it has.

    The weights are random. Classical flow counts as no multiply-adds.

    Args:
        config: Config of the image model: path or `package::path`.
        size: (H, W) of the frame before pre-processing.
        interval: Key frame duration length l.
        options: Of the video model, such as ``proposals``.

    Returns:
        By split: `split_point`, the name of its class; multiply-adds `n_feat`, `warp`,
        `n_task` (of a propagated frame), `frame` (of the image model); `propagated`,
        (stride, channels) of each map; and what Eq. (5) and (7) predict: `free`, with F
        as free, and `flownet`, with FlowNetS. Splits that are not possible are missing.

    Raises:
        FileNotFoundError: If there is no such config.
    """
    (frame,) = moving_frames((size[0], size[1]), 1)
    flownet, _ = _count_flownet(size)
    whole = wrap(config, interval, split='backbone').eval()
    counted = measure_parts(whole, *preprocess(whole, make_data(whole, frame, 0)))
    total = counted[0].frame
    rows: dict[str, dict[str, Any]] = {}
    known: list[tuple[Any, dict[str, Any]]] = []  # split points; two names may mean one
    for split in NAMED_SPLITS:
        try:
            model = wrap(whole.image_model, interval, split=split, **options).eval()
        except ValueError as error:
            if 'is not possible' not in str(error):
                raise
            continue
        same = [row for point, row in known if point == model.split_point]
        if same:
            rows[split] = same[0]
            continue
        if options or split != 'backbone':
            image = preprocess(model, make_data(model, frame, 0))
            counted = measure_parts(model, *image)
        macs, (feats, *_) = counted
        strides = model.propagation.flow_estimator.strides
        predicted = {
            name: predicted_speedup((flow + macs.n_task) / total, interval)
            for name, flow in (('free', 0), ('flownet', flownet))
        }
        rows[split] = dict(
            split_point=type(model.split_point).__name__,
            propagated=[(strides[n], m.shape[1]) for n, m in feats.maps.items()],
            n_feat=macs.n_feat,
            warp=macs.warp,
            n_task=macs.n_task,
            frame=total,
            **predicted,
        )
        known.append((model.split_point, rows[split]))
    return rows


def _count_flownet(size: Sequence[int]) -> tuple[int, Any]:
    frame = torch.zeros(1, 3, *size)
    network = MODELS.build(dict(type='FlowNetS', scale_channels=None)).eval()
    return count_macs(partial(network, frame, frame))


def format_splits(
    rows: Mapping[str, Mapping[str, Any]], *, size: Sequence[int], interval: int
) -> str:
    """Format the figures of `describe_splits` as a Markdown table."""
    table = [
        [
            split,
            ' '.join(f'{channels}@{stride}' for stride, channels in row['propagated']),
            *(f'{row[part] / 1e9:.2f}' for part in ('n_feat', 'warp', 'n_task')),
            f'{row["free"]:.2f}',
            f'{row["flownet"]:.2f}',
        ]
        for split, row in rows.items()
    ]
    head = ['split', 'channels@stride', 'N_feat', 'W', 'N_task']
    head += ['Eq. (5), F free', 'with FlowNet']
    height, width = size
    title = f'Gmac at {height}x{width}, speed-up at l = {interval}'
    text = tabulate(table, head, 'github', disable_numparse=True)
    return f'{title}\n\n{text}'
