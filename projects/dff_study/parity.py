"""Compare the network with that of the authors on the same frames and weights.

Shapes: N pairs, H, W frames, R RoIs.
"""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from dff.checkpoint.loader import read_checkpoint
from dff.converters.weights.mxnet_convert import convert_arrays
from dff.converters.weights.mxnet_names import Source, layouts
from dff.converters.weights.mxnet_params import read_mxnet_params

TOLERANCE = 1e-3  # of the largest absolute value of an array
INPUTS = ('data_key', 'data_cur', 'rois')
# In the order of the network; `rfcn_*` and `ps_*` come from the warped features.
OUTPUTS = (
    'key_feats',
    'flow',
    'scale',
    'warped',
    'rpn_cls_score',
    'rpn_bbox_pred',
    'rfcn_cls',
    'rfcn_bbox',
    'ps_cls',
    'ps_bbox',
)
POOLED = dict(ps_cls='rfcn_cls', ps_bbox='rfcn_bbox')


@dataclass(frozen=True)
class ArrayParity:
    """Difference between one output and that of the authors.

    Attributes:
        name: Of the output.
        shape: Of our output.
        largest: Largest absolute value of the authors' output.
        difference: Largest absolute difference.
    """

    name: str
    shape: tuple[int, ...]
    largest: float
    difference: float

    @property
    def ratio(self) -> float:
        """Difference relative to the largest value."""
        return self.difference / self.largest if self.largest else self.difference

    @property
    def is_close(self) -> bool:
        """Whether the difference is within the tolerance; nan is not within it."""
        return self.ratio <= TOLERANCE


def read_oracle(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read inputs and outputs of the authors' network from an ``.npz`` file.

    Returns:
        Arrays by name: ``INPUTS`` (frames (N, 3, H, W): RGB, 0..255 minus the means;
        RoIs (R, 5)) and ``OUTPUTS``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is not an ``.npz`` file, or lacks an array.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist')
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # numpy raises many types for a broken archive
        raise ValueError(f'{path} is not an .npz file: {error!r}') from error
    missing = [name for name in (*INPUTS, *OUTPUTS) if name not in arrays]
    if missing:
        raise ValueError(f'{path} must have arrays {missing}, got {sorted(arrays)}')
    key, cur, rois = (arrays[name] for name in INPUTS)
    if key.ndim != 4 or key.shape[1] != 3 or key.shape != cur.shape:
        raise ValueError(
            f'data_key and data_cur in {path} must both be (N, 3, H, W), got '
            f'{key.shape} and {cur.shape}'
        )
    if rois.ndim != 2 or rois.shape[1] != 5:
        raise ValueError(f'rois in {path} must be (R, 5), got {rois.shape}')
    return arrays


def load_model(config: str | os.PathLike, weights: str | os.PathLike) -> nn.Module:
    """Build the model of a config with the weights of the authors.

    Args:
        config: Of a video detector.
        weights: ``.params`` file of MXNet; Python file whose ``weights()`` yields
            (kind, name in MXNet, array); or a converted checkpoint.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: The weights are of another network.
    """
    for path in (config, weights):
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} does not exist')
    cfg = Config.fromfile(config)
    suffix = Path(weights).suffix
    if suffix == '.params':
        state = convert_arrays(read_mxnet_params(weights), cfg.model).state_dict
    elif suffix == '.py':
        state = convert_arrays(_made_by(weights), cfg.model).state_dict
    else:
        checkpoint = read_checkpoint(weights, map_location='cpu')
        state = checkpoint.get('state_dict', checkpoint)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f'{weights} does not fit {config}: {error}') from error
    return model.eval()


def _made_by(script: str | os.PathLike) -> dict[str, np.ndarray]:
    """Run a Python file that yields weights by name."""
    spec = importlib.util.spec_from_file_location('weights_rule', script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, 'weights'):
        raise ValueError(f'{script} must have a function weights()')
    return {f'{kind}:{name}': array for kind, name, array in module.weights()}


@torch.no_grad()
def network_outputs(
    model: nn.Module, key: Tensor, cur: Tensor, rois: Tensor
) -> dict[str, Tensor]:
    """Run a video detector step by step, as its prediction does.

    Args:
        model: R-FCN in a video detector, in eval mode.
        key: Frames (N, 3, H, W) as loaded from files: BGR, 0..255.
        cur: Likewise.
        rois: (R, 5).

    Returns:
        ``OUTPUTS`` by name, with channels in our order.
    """
    samples = [DetDataSample() for _ in key]
    batch = dict(inputs=dict(cur=list(cur), key=list(key)), data_samples=samples)
    pairs = model.data_preprocessor(batch, training=False)['inputs']
    frames = {name: torch.cat([p[name] for p in pairs]) for name in ('key', 'cur')}
    key_feats = model.seam.head(frames['key'])
    flow, scale = model.propagation.estimate(frames['cur'], frames['key'])
    fields = model.propagation.fields(flow, scale, key_feats)
    warped = model.propagation.warp(key_feats, fields)
    (rpn_scores,), (rpn_deltas,) = model.detector.rpn_head(model.seam.tail(warped))
    head = model.detector.roi_head
    cls_maps, box_maps = head.score_maps(model.seam.tail(warped))
    outputs = (
        key_feats.maps[0],
        *fields[0],
        warped.maps[0],
        rpn_scores,
        rpn_deltas,
        cls_maps,
        box_maps,
        head.pool_bins(cls_maps, rois),
        head.pool_bins(box_maps, rois),
    )
    return dict(zip(OUTPUTS, outputs, strict=True))


def loaded_frames(data: np.ndarray, model: nn.Module) -> Tensor:
    """Turn the input of the authors (N, 3, H, W) into frames as loaded from files."""
    mean = model.detector.data_preprocessor.mean.cpu()  # (3, 1, 1), RGB
    return (torch.from_numpy(data).float() + mean).flip(1)


def compare(model: nn.Module, oracle: Mapping[str, np.ndarray]) -> list[ArrayParity]:
    """Compare each output of a model with that of the authors.

    Args:
        model: From ``load_model``.
        oracle: From ``read_oracle``. It has boxes of two classes, background and
            object; our model has only the second, so only it is compared.

    Raises:
        ValueError: An output has another shape than that of the authors.
    """
    outputs = network_outputs(
        model,
        loaded_frames(oracle['data_key'], model),
        loaded_frames(oracle['data_cur'], model),
        torch.from_numpy(oracle['rois']).float(),
    )
    moved = layouts(model.detector)
    rows = []
    for name, ours in outputs.items():
        theirs = oracle[name]
        layout = moved.get(POOLED.get(name, name))
        if layout is not None:
            theirs = _in_our_order(theirs, layout)
        rows.append(_measure(name, ours.numpy(), theirs))
    return rows


def _in_our_order(array: np.ndarray, layout: Source) -> np.ndarray:
    """Bring channels (N, C, h, w) or pooled classes (R, D, P, P) into our order."""
    is_pooled = array.shape[1] != layout.total
    flat = array.reshape(len(array), -1) if is_pooled else array
    if flat.shape[1] != layout.total:
        raise ValueError(
            f'{layout.name} must have {layout.total} channels, got {array.shape}'
        )
    ordered = layout.reorder(flat, axis=1)
    if not is_pooled:
        return ordered
    return ordered.reshape(len(array), -1, *array.shape[2:])


def _measure(name: str, ours: np.ndarray, theirs: np.ndarray) -> ArrayParity:
    if ours.shape != theirs.shape:
        raise ValueError(f'{name} must be {theirs.shape}, got {ours.shape}')
    theirs = theirs.astype(np.float64)
    difference = float(np.abs(ours - theirs).max(initial=0.0))
    return ArrayParity(
        name, ours.shape, float(np.abs(theirs).max(initial=0.0)), difference
    )


def table(rows: Iterable[ArrayParity]) -> str:
    """Format a comparison, with a line per array."""
    lines = [f'{"array":14}{"shape":>18}{"largest":>12}{"difference":>12}{"ratio":>10}']
    for row in rows:
        shape = 'x'.join(map(str, row.shape))
        verdict = '' if row.is_close else '  too far'
        lines.append(
            f'{row.name:14}{shape:>18}{row.largest:12.5g}{row.difference:12.3g}'
            f'{row.ratio:10.2e}{verdict}'
        )
    return '\n'.join(lines)
