"""Multiply-adds of N_feat, F + S, W and N_task, and predictions of Eq. (5)-(7).

One multiply-add (MAC) is one multiplication and one addition. The counts include
convolutions, deconvolutions (k^2 Cin Cout per *input* position), linear layers and
matrix products, also those of attention. They exclude biases, normalisation,
activations, pooling, resizing and box operations. These conventions reproduce Tab. 2
of the paper.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dff.models.seam.feats import Feats
from dff.models.seam.windows import cut, shape_inside

BILINEAR_TAPS = 4  # Eq. (4): pixels under the kernel G


def cost_ratio(
    n_feat: float, flow: float, *, n_task: float = 0.0, warp: float = 0.0
) -> float:
    """Return r, the cost of a propagated frame relative to a key frame.

    With all parts it is Eq. (5), (F + S + W + N_task) / (N_feat + N_task); without
    `n_task` and `warp` it is the approximation of Eq. (6).

    Args:
        n_feat: Cost of N_feat, in MACs or seconds; the other parts in the same unit.
        flow: Cost of F and S.
        n_task: Cost of N_task.
        warp: Cost of W.

    Raises:
        ValueError: If a cost is negative, or n_feat + n_task is not positive.
    """
    costs = dict(n_feat=n_feat, flow=flow, n_task=n_task, warp=warp)
    if min(costs.values()) < 0 or n_feat + n_task <= 0:
        raise ValueError(
            f'costs must be >= 0 and n_feat + n_task positive, got {costs}'
        )
    return (flow + warp + n_task) / (n_feat + n_task)


def predicted_speedup(ratio: float, interval: int) -> float:
    """Return s = l / (1 + (l - 1) r), Eq. (7).

    Args:
        ratio: r of `cost_ratio`.
        interval: l, number of frames from one key frame to the next.

    Raises:
        ValueError: If the interval is below 1 or the ratio negative.
    """
    if interval < 1 or ratio < 0:
        raise ValueError(
            f'interval must be >= 1 and ratio >= 0, got {interval} and {ratio}'
        )
    return interval / (1 + (interval - 1) * ratio)


@dataclass(frozen=True)
class Complexity:
    """MACs of the parts of one model at one image size.

    `flow` is F and S together. `warp` is W, counted apart from the conventions above:
    the bilinear taps and, if there is one, the scale.
    """

    n_feat: int
    flow: int
    warp: int
    n_task: int

    @property
    def frame(self) -> int:
        """MACs of the image model on one frame."""
        return self.n_feat + self.n_task

    def ratio(self, *, with_task: bool = True) -> float:
        """Return r of Eq. (5), or of Eq. (6) without the task network.

        W is ignored as in the paper's figures (O(W) << O(F)).
        """
        return cost_ratio(
            self.n_feat, self.flow, n_task=self.n_task if with_task else 0
        )


def count_macs(call: Callable[[], Any]) -> tuple[int, Any]:
    """Count the multiply-adds of a function call.

    Args:
        call: Function without arguments whose modules run eagerly.

    Returns:
        MACs, and the result of the call.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), _plain_attention(), counter:
        result = call()
    flops = counter.get_total_flops()  # torch counts a multiply-add as two
    return flops // 2, result


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Run attention as matrix products, since its fused kernels are not counted."""
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)


def warp_macs(fields: Mapping[int, tuple[Tensor, Tensor | None]], feats: Feats) -> int:
    """Count the MACs of W: four taps per output value, and one for the scale.

    Args:
        fields: Flow (N, 2, h, w) and scale (N, C, h, w) or None, by level.
        feats: Key features, maps of (N, C, h, w) by level.
    """
    return sum(
        feat.numel() * (BILINEAR_TAPS + (fields[level][1] is not None))
        for level, feat in feats.maps.items()
    )


def measure_complexity(
    model: nn.Module, image: Tensor, sample: BaseDataElement
) -> Complexity:
    """Count the MACs of each part of a DFF model on a pre-processed image.

    N_task is what `predict` runs on features, so the MACs of heads on proposals
    depend on the number of proposals of this image.

    Args:
        model: Video model with `seam` and `propagation`, in eval mode.
        image: Input (1, 3, H, W) of the wrapped model.
        sample: Its data sample, with the metainfo that `predict` needs.
    """
    return measure_parts(model, image, sample)[0]


def measure_parts(
    model: nn.Module, image: Tensor, sample: BaseDataElement
) -> tuple[Complexity, list[Feats]]:
    """Like `measure_complexity`, and return the features of each window, too."""
    _warn_of_uncounted(model)
    with _frozen(model):
        return _measure_parts(model, image, sample)


def _measure_parts(
    model: nn.Module, image: Tensor, sample: BaseDataElement
) -> tuple[Complexity, list[Feats]]:
    seam, propagation = model.seam, model.propagation
    n_feat = flow = warp = 0
    window_feats = []
    for window in seam.windows(image):
        view = cut(image, window)
        shapes = [shape_inside(sample.metainfo['img_shape'], window)]
        macs, feats = count_macs(partial(seam.head, view))
        n_feat += macs
        estimate = partial(
            propagation.estimate, view, view, shapes, levels=list(feats.maps)
        )
        macs, field = count_macs(estimate)
        flow += macs
        with torch.no_grad():
            fields = propagation.fields(*field, feats)
        warp += warp_macs(fields, feats)
        window_feats.append(feats)
    n_task, _ = count_macs(
        lambda: seam.run('predict', image, window_feats, [sample], is_propagated=True)
    )
    parts = Complexity(n_feat=n_feat, flow=flow, warp=warp, n_task=n_task)
    return parts, window_feats


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Temporarily set requires_grad of all parameters to False.

    torch's counter hooks the inputs of modules that require gradients, and fails on
    views of parameters created without gradients (queries of Deformable DETR).
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def part_parameters(model: nn.Module, image: Tensor) -> dict[str, int]:
    """Count the parameters of N_feat, F + S and N_task by the names of `Complexity`.

    N_feat comprises all modules that `seam.head` runs; N_task comprises the others of
    the image model, including heads that are used only in training.

    Args:
        model: See `measure_complexity`.
        image: Input (1, 3, H, W) of the wrapped model.
    """
    run: set[nn.Module] = set()
    handles = [
        module.register_forward_pre_hook(lambda module, _: run.add(module))
        for module in model.image_model.modules()
    ]
    window = model.seam.windows(image)[0]
    try:
        with torch.no_grad():
            model.seam.head(cut(image, window))
    finally:
        for handle in handles:
            handle.remove()
    in_head = {p for module in run for p in module.parameters()}
    n_feat = sum(p.numel() for p in in_head)
    total = sum(p.numel() for p in model.image_model.parameters())
    flow = sum(p.numel() for p in model.propagation.parameters())
    return dict(n_feat=n_feat, flow=flow, n_task=total - n_feat)


def _warn_of_uncounted(model: nn.Module) -> None:
    """Warn of modules with operators that the counter does not see."""
    found = [m for m in model.modules() if 'Deform' in type(m).__name__]
    # a decoder named after its deformable layers has no operator of its own
    inner = {type(m).__name__ for m in found if not set(m.modules()) & set(found) - {m}}
    if inner:
        warnings.warn(
            f'the multiply-adds of the operators of {sorted(inner)} are not counted',
            stacklevel=3,
        )
