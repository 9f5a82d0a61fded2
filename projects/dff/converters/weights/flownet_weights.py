"""Weights of public FlowNetS checkpoints, adapted to the conventions of `FlowNetS`.

Differences that are folded in, with the same flow as a result: the order of channels
and the mean of the frames (first convolution), batch norm, the unit of the flow
(predictions and, the other way, their up-sampling), biases that are absent (0).

What cannot be folded in:

- the source sees full-size frames, `FlowNetS` halves them first. It is the same
  network at another resolution, as in the paper: for frames halved before, the source
  gives the same flow;
- the source pads its own zero around the frames, `FlowNetS` its mean colour. Where the
  means differ, the outermost two rows and columns of the first layer do too;
- a source that subtracts each pair's own mean (`flownet2_pytorch`) differs by what
  that mean differs from `FLOW_MEAN`.

The scale branch is of no source; it keeps its initial values (S = 1).
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
    """Fold a foreign network's conventions into its weights.

    Returns:
        Weights by the keys of `FlowNetS`, without its scale branch, and its `width`.

    Raises:
        ValueError: An array has another shape than in FlowNetS.
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
    """Return the width that fits the first convolution, if all others have it too."""
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
            part = 'bias'  # one value a channel
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
    """Let the first convolution take RGB / 255 that lack FLOW_MEAN."""
    weight = arrays['conv1.weight']  # (C, 6, 7, 7)
    if weights.channel_order == 'bgr':
        weight = weight[:, SWAPPED]
    arrays['conv1.weight'] = weight
    if weights.means is not None:
        ours = torch.tensor(FLOW_MEAN, dtype=weight.dtype).repeat(2) / 255
        theirs = torch.tensor(weights.means, dtype=weight.dtype).flatten()
        lacking = weight.sum((2, 3)) @ (ours - theirs)  # (C,)
        arrays['conv1.bias'] = arrays['conv1.bias'] + lacking


def _fold_unit(arrays: dict[str, Tensor], ratio: float) -> None:
    """Scale the five predictions, and their way up so that features stay the same."""
    for key in arrays:
        if key.startswith('predict_flow'):
            arrays[key] = arrays[key] * ratio
        elif key.startswith('upsample_flow') and key.endswith('.weight'):
            arrays[key] = arrays[key] / ratio
