"""Check that a wrapped model behaves as a DFF model.

The checks use the model's seam, its propagation and its ``test_step``.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from mmengine.structures import BaseDataElement
from torch import nn

from dff.models.key_frame import FixedKeyFrameScheduler
from dff.models.seam.windows import cut

from .compare import describe_difference, shift_levels
from .gradients import compute_gradients, reached_parameters, training_batch
from .inputs import ConstantFlow, make_sample, make_stream, random_frame

TOLERANCE = 1e-4  # relative to the largest value; resizing the flow is not exact
NAMES_SHOWN = 5
SMALL = (128, 192)


class CheckResult(NamedTuple):
    """Name of a check and the problem it found; None if it passed."""

    check: str
    problem: str | None


def check_model(
    model: nn.Module,
    *,
    size: tuple[int, int] = SMALL,
    on_check: Callable[[str], None] = lambda name: None,
) -> list[CheckResult]:
    """Run all checks on a DFF model without changing its weights.

    Args:
        model: `DFFVideoDetector`, `DFFVideoSegmentor` or a model with the same seam.
        size: (H, W) of the frames; the check with an oracle flow enlarges it to at
            least 4 x 5 cells of the coarsest level.
        on_check: Called with the name of each check before it runs.

    Returns:
        One result per check.
    """
    results = []
    for name, check in CHECKS.items():
        on_check(name)
        scheduler = model.key_frame_scheduler
        flow_estimator = model.propagation.flow_estimator
        try:
            with _restored_buffers(model):
                problem = check(model, size)
        except Exception as error:  # any error of the model is a result
            problem = f'{type(error).__name__}: {error}'
        finally:
            model.key_frame_scheduler = scheduler
            model.propagation.flow_estimator = flow_estimator
            model.zero_grad()
            model.eval()
        results.append(CheckResult(name, problem))
    return results


def check_training(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that F, S and all parameters of the image model get a gradient.

    Gradients of the image model may be zero, depending on the assignment of boxes,
    so its parameters only need to take part in the loss.
    """
    alone = compute_gradients(
        model, size, lambda x, s: model.image_model.loss(x['cur'], s)
    )
    both = compute_gradients(model, size, lambda x, s: model.loss(x, s))
    broken = [name for name, grad in both.items() if not grad.isfinite().all()]
    if broken:
        return f'gradients of {_some(broken)} are not finite'
    prefix = f'{model.wrapped_name}.'
    wanted = [name for name, g in alone.items() if name.startswith(prefix) and g.any()]
    lost = [name for name in wanted if name not in both]
    reached = reached_parameters(model, size)
    lost += [name for name, is_reached in reached.items() if not is_reached]
    lost += [name for name in reached if name not in both]
    if lost:
        return f'no gradient reaches {_some(lost)}, so they never train'
    return None


def check_stills(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that a batch of stills (k = i) has the loss of the image model."""
    results = []
    for loss in (
        lambda x, s: model.image_model.loss(x['cur'], s),
        lambda x, s: model.loss(x, s),
    ):
        data = training_batch(model, size, [True, True])
        torch.manual_seed(0)
        with torch.no_grad():
            total, _ = model.parse_losses(loss(data['inputs'], data['data_samples']))
        results.append(float(total))
    if results[0] != results[1]:
        return (
            f'the loss of pairs with k = i is {results[1]}, but that of the wrapped '
            f'model is {results[0]}'
        )
    return None


@torch.no_grad()
def check_key_frames_only(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that the backbone runs on key frames only."""
    _set_interval(model, 3)
    # the first layer: with a split point the rest of the backbone may be N_task
    layers = model.image_model.backbone.modules()
    first = next(
        m for m in layers if next(m.parameters(recurse=False), None) is not None
    )
    calls, runs, keys = [], [], []
    handle = first.register_forward_hook(lambda *_: calls.append(1))
    try:
        for index in range(7):
            calls.clear()
            frame = make_stream(model, size, [(index, 'a', index)])
            keys.append(bool(model.test_step(frame)[0].is_key_frame))
            runs.append(len(calls))
    finally:
        handle.remove()
    expected = [index % 3 == 0 for index in range(7)]
    if keys != expected:
        return f'with l = 3 the key frames must be {expected}, got {keys}'
    extra = [index for index, count in enumerate(runs) if count and not keys[index]]
    if extra:
        return (
            f'the backbone runs on the frames {extra}, which are no key frames: the '
            'model reads pixels other than through extract_feat'
        )
    if not all(runs[::3]):
        return f'the backbone does not run on every key frame: {runs}'
    return None


@torch.no_grad()
def check_interval_one(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that with l = 1 the model equals the wrapped model bit for bit."""
    _set_interval(model, 1)
    for seed in range(2):
        (ours,) = model.test_step(make_stream(model, size, [(seed, 'a', seed)]))
        stock = dict(
            inputs=[random_frame(seed, size)], data_samples=[make_sample(model, size)]
        )
        (wanted,) = model.image_model.test_step(stock)
        problem = describe_difference(ours, wanted, tolerance=0)
        if problem:
            return f'with l = 1 frame {seed} differs from the wrapped model: {problem}'
    return None


@torch.no_grad()
def check_oracle_flow(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that under a known flow a frame is predicted from shifted key features."""
    _set_interval(model, 10)
    strides = model.propagation.flow_estimator.strides
    size = tuple(
        max(n * max(strides), side) for n, side in zip((4, 5), size, strict=True)
    )
    shift = (2 * max(strides), -max(strides))
    pixels = (float(shift[0]), float(shift[1]))
    model.propagation.flow_estimator = ConstantFlow(strides, pixels)
    results = model.test_step(make_stream(model, size, [(1, 'a', 0), (2, 'a', 1)]))
    stock = dict(
        inputs=[random_frame(1, size)], data_samples=[make_sample(model, size)]
    )
    batch = model.image_model.data_preprocessor(stock, False)
    image, sample = batch['inputs'], batch['data_samples'][0]

    def wanted(dx: int, dy: int) -> BaseDataElement:
        seam = model.seam
        feats = [seam.head(cut(image, window)) for window in seam.windows(image)]
        moved = [shift_levels(part, dx, dy, strides=strides) for part in feats]
        labelled = [sample.clone()]
        (found,) = seam.run('predict', image, moved, labelled, is_propagated=True)
        return found

    problem = describe_difference(results[1], wanted(*shift), tolerance=TOLERANCE)
    if problem:
        return (
            f'under a flow of {shift} pixels the prediction is not that of key '
            f'features shifted by as much: {problem}'
        )
    if describe_difference(results[1], wanted(0, 0), tolerance=TOLERANCE) is None:
        return 'the prediction is the same for unshifted features: the check is void'
    return None


@torch.no_grad()
def check_batches(model: nn.Module, size: tuple[int, int]) -> str | None:
    """Check that batches of 5 and 8 frames of two videos equal single frames."""
    _set_interval(model, 2)
    frames = [(i, 'a', i) for i in range(3)] + [(3 + i, 'b', i) for i in range(5)]
    model.reset_stream()
    single = [model.test_step(make_stream(model, size, [f]))[0] for f in frames]
    for count in (5, 8):
        model.reset_stream()
        batch = model.test_step(make_stream(model, size, frames[:count]))
        for index, (ours, wanted) in enumerate(zip(batch, single, strict=False)):
            problem = describe_difference(ours, wanted, tolerance=0)
            if problem:
                return f'frame {index} differs in a batch of {count}: {problem}'
    return None


CHECKS: dict[str, Callable[[nn.Module, tuple[int, int]], str | None]] = {
    'training reaches every part': check_training,
    'stills have the loss of the wrapped model': check_stills,
    'the backbone runs on key frames only': check_key_frames_only,
    'l = 1 is the wrapped model': check_interval_one,
    'oracle flow moves the features': check_oracle_flow,
    'any test batch is batch 1': check_batches,
}


@contextmanager
def _restored_buffers(model: nn.Module) -> Iterator[None]:
    """Restore the statistics of BN on exit."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        yield
    finally:
        for name, buffer in model.named_buffers():
            if name in buffers and buffer.shape == buffers[name].shape:
                buffer.copy_(buffers[name])


def _set_interval(model: nn.Module, interval: int) -> None:
    model.eval()
    model.key_frame_scheduler = FixedKeyFrameScheduler(interval)


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    text = ', '.join(names[:NAMES_SHOWN])
    return f'{text} and {more} more' if more > 0 else text
