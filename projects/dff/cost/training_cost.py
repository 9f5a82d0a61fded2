"""What one training step computes and keeps, and what that says of a whole training.

Counted on a CPU, at full size, by running one step on one made-up image or pair: the
arithmetic of forward and backward pass, frozen layers left out of the latter, and the
tensors that autograd keeps for the backward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from .benchmark import moving_frames

BYTES = 4  # a float32
SECONDS = 3600  # of an hour


@dataclass(frozen=True)
class StepCost:
    """Of one sample in float32.

    `macs` are multiply-adds of forward and backward pass; `kept` bytes of activations
    kept for the backward pass; `weights` bytes of all parameters, `trained` of those
    that are trained.
    """

    macs: int
    kept: int
    weights: int
    trained: int

    def memory(self, batch_size: int) -> int:
        """Return bytes of weights, gradients, momentum and kept activations.

        A lower bound: workspaces of convolutions, what the allocator holds in reserve
        and the buckets of several ranks come on top.
        """
        return self.weights + 2 * self.trained + batch_size * self.kept

    def hours(self, num_samples: int, *, num_gpus: int, tflops: float) -> float:
        """Return hours of a training.

        Args:
            num_samples: Images or pairs in all.
            num_gpus: That share them evenly.
            tflops: 1e12 operations a second that each keeps up, in this training, two
                of them a multiply-add.
        """
        if num_gpus < 1 or tflops <= 0:
            raise ValueError(
                f'num_gpus must be >= 1 and tflops > 0, got {num_gpus} and {tflops}'
            )
        operations = 2 * self.macs * num_samples
        return operations / (num_gpus * tflops * 1e12) / SECONDS


def make_training_data(model: nn.Module, size: Sequence[int]) -> dict[str, Any]:
    """Build what a training loader gives: one labelled image or pair of (H, W)."""
    key, cur = moving_frames(tuple(size), 2)
    height, width = size
    metainfo = dict(
        img_shape=(height, width),
        ori_shape=(height, width),
        pad_shape=(height, width),
        scale_factor=(1.0, 1.0),
        flip=False,
        video_id=0,
        frame_id=1,
        is_same=False,
        offset=1,
    )
    image_model = getattr(model, 'image_model', model)
    if hasattr(image_model, 'decode_head'):
        from mmseg.structures import SegDataSample

        sample = SegDataSample(metainfo=metainfo)
        labels = torch.zeros(1, height, width, dtype=torch.long)
        sample.gt_sem_seg = PixelData(data=labels)
    else:
        from mmdet.structures import DetDataSample

        sample = DetDataSample(metainfo=metainfo)
        box = [0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height]
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([box]), labels=torch.zeros(1, dtype=torch.long)
        )
    inputs = dict(cur=[cur], key=[key]) if hasattr(model, 'propagation') else [cur]
    return dict(inputs=inputs, data_samples=[sample])


def measure_step(model: nn.Module, data: dict[str, Any]) -> StepCost:
    """Run one training step of a batch of one and count.

    Gradients are dropped afterwards; nothing is updated.
    """
    model.train()
    owned = {t.untyped_storage().data_ptr() for t in model.state_dict().values()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        # as long as it is held here its memory is nobody else's
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    counter = FlopCounterMode(display=False)
    data = model.data_preprocessor(data, True)
    with counter:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = model(**data, mode='loss')
            loss, _ = model.parse_losses(losses)
        num_bytes = sum(
            tensor.untyped_storage().nbytes()
            for pointer, tensor in kept.items()
            if pointer not in owned
        )
        kept.clear()
        loss.backward()
    model.zero_grad(set_to_none=True)
    parameters = list(model.parameters())
    return StepCost(
        macs=counter.get_total_flops() // 2,  # torch counts a multiply-add as two
        kept=num_bytes,
        weights=BYTES * sum(p.numel() for p in parameters),
        trained=BYTES * sum(p.numel() for p in parameters if p.requires_grad),
    )
