"""Adapt weights of public FlowNetS checkpoints to the conventions of `FlowNetS`.

The adapted weights absorb these differences without a change of the flow: the channel
order and the mean of the frames (first convolution), batch norm, the unit of the flow
(predictions and, inversely, their up-sampling), and missing biases (0).

They cannot absorb the following differences:

- The source processes full-size frames, `FlowNetS` halves them first. This is the
  same network at another resolution, as in the paper: the source predicts the same
  flow for halved frames.
- The source pads frames with its own zero, `FlowNetS` with its mean colour. If the
  means differ, so do the outermost two rows and columns of the first layer.
- A source that subtracts the mean of each pair (`flownet2_pytorch`) differs according
  to the difference between that mean and `FLOW_MEAN`.

No source has the scale branch, which keeps its initial values (S = 1).
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dff.models.flow.field import FLOW_MEAN
from dff.models.flow.flownet import ENCODER, FlowNetS
from dff.models.flow.refinement import FLOW_DIVISOR

from .flownet_sources import FlowNetWeights

NORM_EPS = 1e-5  # torch's default, which the sources use
FULL_WIDTH = ENCODER[0][1]
SWAPPED = [2, 1, 0, 5, 4, 3]  # BGR of both frames to RGB


def adapt_weights(weights: FlowNetWeights) -> tuple[dict[str, Tensor], float]:
    """Adapt the weights of a foreign FlowNetS to our conventions.

    Args:
        weights: Convolutions (C_out, C_in, k, k), biases and norms (C_out,).

    Returns:
        Weights of the same shapes by the keys of `FlowNetS`, without its scale branch,
        and the `width` of the network.

    Raises:
        ValueError: If the shape of an array does not fit FlowNetS.
    """
    arrays = {name: array.double() for name, array in weights.arrays.items()}
    width = _check_shapes(weights.path, weights.arrays)
    for name, *_ in ENCODER:
        _fold_norm(arrays, name)
    _fold_frames(arrays, weights)
    _fold_unit(arrays, weights.flow_divisor / FLOW_DIVISOR)
    shapes = _shapes(width)
    state = {}
    for key, shape in shapes.items():
        array = arrays.get(key)
        state[key] = torch.zeros(shape) if array is None else array.float().contiguous()
    return state, width


def _shapes(width: float) -> dict[str, torch.Size]:
    with torch.device('meta'):
        network = FlowNetS(width, scale_channels=None)
    return {key: value.shape for key, value in network.state_dict().items()}


def _check_shapes(path: Path, arrays: Mapping[str, Tensor]) -> float:
    """Return the width of the network after a check of the shapes of all arrays."""
    channels = len(arrays['conv1.weight'])
    width = channels / FULL_WIDTH
    if not 0 < width <= 1:
        raise ValueError(
            f'{path}: conv1.weight must have 1 to {FULL_WIDTH} output channels, got '
            f'{channels}'
        )
    shapes = _shapes(width)
    for name, array in arrays.items():
        module, _, part = name.partition('.')
        if part.startswith('norm.'):
            part = 'bias'  # one value per channel
        expected = shapes[f'{module}.{part}']
        if array.shape != expected:
            raise ValueError(
                f'{path}: {name} must have the shape {tuple(expected)} in a FlowNetS '
                f'of width {width:g}, got {tuple(array.shape)}'
            )
    return width


def _fold_norm(arrays: dict[str, Tensor], name: str) -> None:
    if f'{name}.norm.weight' not in arrays:
        return
    gain, shift, mean, var = (
        arrays[f'{name}.norm.{part}']
        for part in ('weight', 'bias', 'running_mean', 'running_var')
    )
    gain = gain / (var + NORM_EPS).sqrt()
    bias = arrays.get(f'{name}.bias', torch.zeros_like(mean))
    arrays[f'{name}.weight'] = arrays[f'{name}.weight'] * gain[:, None, None, None]
    arrays[f'{name}.bias'] = (bias - mean) * gain + shift


def _fold_frames(arrays: dict[str, Tensor], weights: FlowNetWeights) -> None:
    """Adapt the first convolution to RGB / 255 minus FLOW_MEAN."""
    weight = arrays['conv1.weight']  # (C, 6, 7, 7)
    if weights.channel_order == 'bgr':
        weight = weight[:, SWAPPED]
    arrays['conv1.weight'] = weight
    if weights.means is not None:
        ours = torch.tensor(FLOW_MEAN, dtype=weight.dtype).repeat(2) / 255
        theirs = torch.tensor(weights.means, dtype=weight.dtype).flatten()
        offset = weight.sum((2, 3)) @ (ours - theirs)  # (C,)
        arrays['conv1.bias'] = arrays['conv1.bias'] + offset


def _fold_unit(arrays: dict[str, Tensor], ratio: float) -> None:
    """Scale the five predictions; scale their up-sampling inversely."""
    for key in arrays:
        if key.startswith('predict_flow'):
            arrays[key] = arrays[key] * ratio
        elif key.startswith('upsample_flow') and key.endswith('.weight'):
            arrays[key] = arrays[key] / ratio
