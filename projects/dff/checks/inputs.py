"""Random weights and small labelled frames for checks of DFF models.

Shapes: N images, H, W image, C channels, h, w a feature level.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement, InstanceData, PixelData
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

BOXES = ((0.05, 0.1, 0.3, 0.5), (0.3, 0.2, 0.9, 0.95), (0.6, 0.05, 0.75, 0.3))


class ConstantFlow(nn.Module):
    """Flow network F that returns one flow everywhere, and no scale (S = 1).

    Args:
        strides: Strides as of any flow network, see ``docs/design.md``.
        pixels: Flow (dx, dy) in pixels of the image.
    """

    def __init__(self, strides: Sequence[int], pixels: tuple[float, float]) -> None:
        super().__init__()
        self.strides, self.pixels = tuple(strides), pixels
        self.flow_stride = max(8, min(strides))

    def forward(
        self, cur: Tensor, key: Tensor, levels: Sequence[int] | None = None
    ) -> tuple[Tensor, None]:
        """Return the flow (N, 2, h, w) in pixels of its own map, and no scale."""
        size = [-(-side // self.flow_stride) for side in cur.shape[-2:]]
        flow = cur.new_tensor(self.pixels) / self.flow_stride
        return flow.view(1, 2, 1, 1).expand(len(cur), 2, *size), None


def prepare_config(node: Any) -> None:
    """Change a model config in place so that a check can use the model.

    Pretrained weights are not downloaded, and the score threshold becomes 0 so that
    there are predictions to compare.
    """
    if isinstance(node, dict):
        init = node.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            node['init_cfg'] = None
        if node.get('pretrained'):
            node['pretrained'] = None
        if 'score_thr' in node:
            node['score_thr'] = 0.0
        children = list(node.values())
    else:
        children = list(node) if isinstance(node, (list, tuple)) else []
    for child in children:
        prepare_config(child)


def randomise(model: nn.Module, *, size: tuple[int, int]) -> None:
    """Set seeded weights with which different images get different predictions.

    Stock initial weights do not: with them the last layers of heads predict nearly
    the same score everywhere. BN then uses the statistics of two frames, so that the
    features of deep models stay in range.

    Args:
        model: DFF model.
        size: (H, W) of these frames.
    """
    torch.manual_seed(0)
    image_model = model.image_model
    for module in image_model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, _BatchNorm) and module.affine:
            nn.init.ones_(module.weight)  # mmdet's ResNet starts some at 0
    norms = [m for m in image_model.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        frames = [random_frame(seed, size) for seed in (0, 1)]
        samples = [make_sample(model, size) for _ in frames]
        data = dict(inputs=frames, data_samples=samples)
        model.seam.head(image_model.data_preprocessor(data, False)['inputs'])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def random_frame(seed: int, size: tuple[int, int]) -> Tensor:
    """Create a smooth random uint8 frame (3, H, W)."""
    rng = np.random.RandomState(seed)
    small = torch.from_numpy(rng.randint(0, 256, (1, 3, 9, 13))).float()
    image = nn.functional.interpolate(small, size, mode='bicubic').clamp(0, 255)
    return image[0].round().to(torch.uint8)


def make_sample(
    model: nn.Module, size: tuple[int, int], **meta: Any
) -> BaseDataElement:
    """Create a labelled data sample of a frame (H, W) for the model's task."""
    metainfo = dict(
        img_id=0,
        img_path='frame.png',
        img_shape=size,
        ori_shape=size,
        pad_shape=size,
        scale_factor=(1.0, 1.0),
        flip=False,
        border=(0, 0, 0, 0),  # CenterNet shifts its boxes back by it
        **meta,
    )
    if hasattr(model, 'segmentor'):
        from mmseg.structures import SegDataSample

        sample = SegDataSample(metainfo=metainfo)
        labels = torch.arange(size[0] * size[1]).view(1, *size) // 97 % 2
        sample.gt_sem_seg = PixelData(data=labels)
        edges = nn.functional.pad(labels.diff(dim=-1).abs(), (0, 1))
        sample.gt_edge_map = PixelData(data=edges)  # PIDNet learns it
        return sample
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    sample = DetDataSample(metainfo=metainfo)
    height, width = size
    boxes = torch.tensor(BOXES) * torch.tensor([width, height, width, height])
    masks = np.zeros((len(boxes), height, width), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    sample.gt_instances = InstanceData(
        bboxes=boxes, labels=torch.zeros(len(boxes), dtype=torch.long)
    )
    if getattr(model.image_model, 'with_mask', False):
        sample.gt_instances.masks = BitmapMasks(masks, height, width)
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    return sample


def make_stream(
    model: nn.Module, size: tuple[int, int], frames: Sequence[tuple[int, Any, int]]
) -> dict[str, list]:
    """Create a test batch of frames (seed, video id, frame id)."""
    return dict(
        inputs=[random_frame(seed, size) for seed, _, _ in frames],
        data_samples=[
            make_sample(model, size, video_id=video, frame_id=frame)
            for _, video, frame in frames
        ],
    )


def make_pairs(
    model: nn.Module, size: tuple[int, int], is_same: Sequence[bool]
) -> dict[str, Any]:
    """Create a training batch with one pair per entry of `is_same`."""
    cur = [random_frame(seed, size) for seed in range(len(is_same))]
    key = [
        frame if same else random_frame(100 + seed, size)
        for seed, (frame, same) in enumerate(zip(cur, is_same, strict=True))
    ]
    samples = [
        make_sample(model, size, video_id=0, frame_id=9, is_same=same, offset=3)
        for same in is_same
    ]
    return dict(inputs=dict(cur=cur, key=key), data_samples=samples)
