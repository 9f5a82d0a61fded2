"""Draw training pairs as the model sees them."""

import os
from collections.abc import Mapping

import numpy as np
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement, InstanceData
from torch import Tensor, ones

from dff.files import write_atomically
from dff.random_state import temporarily_seeded
from dff.visualization import VideoVisualizer
from dff.visualization.flow import flow_to_color
from dff.visualization.panels import (
    Panel,
    check_picture_path,
    fit,
    panel_grid,
    write_picture,
)

from .data_speed import dis_flow

SIZE = (192, 256)  # (H, W) of each panel


def save_sheet(
    pairs: Mapping, out: str | os.PathLike, *, count: int = 10, seed: int = 0
) -> None:
    """Draw one row per pair: key frame, labelled current frame, DIS flow.

    The pairs are augmented; boxes and labels are those that the loss uses.

    Args:
        pairs: Config of a `VideoPairDataset` for training.
        out: Picture to write, `.png` or `.jpg`.
        count: Number of pairs.
        seed: Seed of the choice of pairs and of the augmentation.

    Raises:
        ValueError: If the data set has no pairs, or the suffix of `out` is unknown.
    """
    check_picture_path(out)
    dataset = DATASETS.build({**pairs, 'pairs': True})
    visualizer = VideoVisualizer(dataset.metainfo)
    rows = []
    for number in range(count):
        with temporarily_seeded((seed, number)):
            item = dataset[int(np.random.randint(len(dataset)))]
        rows.append(_draw(item, visualizer))
    with write_atomically(out) as temporary:
        write_picture(panel_grid(rows), temporary)


def _draw(item: dict, visualizer: VideoVisualizer) -> list[Panel]:
    key, cur = (_to_image(item['inputs'][name]) for name in ('key', 'cur'))
    sample = item['data_samples']
    flow = dis_flow(cur, key)
    longest = float(np.linalg.norm(flow, axis=-1).max())
    labelled = visualizer.draw_results(cur, _as_predicted(sample))
    offset = f'k = i - {sample.offset}'
    name = f'{sample.video_name}, frame {sample.frame_id}'
    flow = flow_to_color(flow, max_norm=max(longest, 1.0))
    return [
        Panel(fit(key, SIZE), [f'key, {offset}'], is_key=True),
        Panel(fit(labelled, SIZE), [name]),
        Panel(fit(flow, SIZE), [f'DIS flow, to {longest:.0f} px']),
    ]


def _to_image(image: Tensor) -> np.ndarray:
    values = image.permute(1, 2, 0).numpy()  # colour augmentation returns floats
    return np.ascontiguousarray(values.round().clip(0, 255).astype(np.uint8))


def _as_predicted(sample: BaseDataElement) -> BaseDataElement:
    """Copy the labels to the fields that a visualizer draws."""
    sample = sample.clone()
    if 'gt_sem_seg' in sample:
        sample.pred_sem_seg = sample.gt_sem_seg
        return sample
    boxes = sample.gt_instances.bboxes
    boxes = boxes if isinstance(boxes, Tensor) else boxes.tensor
    labels = sample.gt_instances.labels
    scores = ones(len(labels))
    sample.pred_instances = InstanceData(bboxes=boxes, labels=labels, scores=scores)
    return sample
