"""Arithmetic and memory of one training step, and estimates for a whole training.

One step runs on a CPU, at full size, on one synthetic image or pair. It counts the
multiply-adds of the forward and backward passes (frozen layers have no backward pass)
and the tensors that autograd saves for the backward pass.
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
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class StepCost:
    """Cost of a training step of one sample, in float32.

    Attributes:
        macs: Multiply-adds of the forward and backward passes.
        kept: Bytes of activations saved for the backward pass.
        weights: Bytes of all parameters.
        trained: Bytes of the parameters that are trained.
    """

    macs: int
    kept: int
    weights: int
    trained: int

    def memory(self, batch_size: int) -> int:
        """Return the bytes of weights, gradients, momentum and saved activations.

        This is a lower bound: it excludes workspaces of convolutions, the reserve of
        the allocator and the buckets of distributed training.
        """
        return self.weights + 2 * self.trained + batch_size * self.kept

    def hours(self, num_samples: int, *, num_gpus: int, tflops: float) -> float:
        """Return the hours of a training.

        Args:
            num_samples: Total number of images or pairs.
            num_gpus: Number of GPUs that share them evenly.
            tflops: Sustained speed of each GPU in 1e12 operations per second; one
                multiply-add is two operations.

        Raises:
            ValueError: If `num_gpus` is below 1 or `tflops` not positive.
        """
        if num_gpus < 1 or tflops <= 0:
            raise ValueError(
                f'num_gpus must be >= 1 and tflops > 0, got {num_gpus} and {tflops}'
            )
        operations = 2 * self.macs * num_samples
        return operations / (num_gpus * tflops * 1e12) / SECONDS_PER_HOUR


def make_training_data(model: nn.Module, size: Sequence[int]) -> dict[str, Any]:
    """Build the batch of a training loader: one labelled image or pair.

    Args:
        model: Image model, or DFF model for a pair.
        size: (H, W) of the frames.
    """
    key, cur = moving_frames((size[0], size[1]), 2)
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
    """Run one training step without updating weights, and count its cost.

    Args:
        model: Image model or DFF model.
        data: Batch of one sample, see `make_training_data`.
    """
    model.train()
    owned = {t.untyped_storage().data_ptr() for t in model.state_dict().values()}
    saved: dict[int, Tensor] = {}

    def save(tensor: Tensor) -> Tensor:
        # a reference to the tensor prevents reuse of its memory
        saved.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    counter = FlopCounterMode(display=False)
    data = model.data_preprocessor(data, True)
    with counter:
        with saved_tensors_hooks(save, lambda tensor: tensor):
            losses = model(**data, mode='loss')
            loss, _ = model.parse_losses(losses)
        num_bytes = sum(
            tensor.untyped_storage().nbytes()
            for pointer, tensor in saved.items()
            if pointer not in owned
        )
        saved.clear()
        loss.backward()
    model.zero_grad(set_to_none=True)
    parameters = list(model.parameters())
    return StepCost(
        macs=counter.get_total_flops() // 2,  # torch counts a multiply-add as two
        kept=num_bytes,
        weights=BYTES * sum(p.numel() for p in parameters),
        trained=BYTES * sum(p.numel() for p in parameters if p.requires_grad),
    )
