"""Cost of each split of N, and whether key frames equal Frame (paper Tab. 5)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dff.checkpoint import adapt_frame_state_dict, check_complete
from dff.cost.benchmark import (
    count_model,
    make_data,
    moving_frames,
    preprocess,
    time_model,
)
from dff.cost.benchmark_report import summarise
from dff.cost.complexity import Complexity, count_macs, predicted_speedup, warp_macs
from dff.models.seam.feature_seam import FeatureSeam
from dff.models.seam.paper_splits import BehindScores, numbered_splits

from .timing import TimingSettings

Split = int | str
PAPER_SPLITS = (0, 1, 5, 12, 21)  # paper Tab. 5
SCALE = 'propagation.flow_estimator.predict_scale.'
TIMED_FRAMES = 3  # per round: a key frame and two others


@dataclass(frozen=True, kw_only=True)
class SplitSettings(TimingSettings):
    """What to measure, and how.

    `interval` is l of the speed-ups and of the test. A round is a key frame and two
    others; 0 `repeats` time nothing.

    Attributes:
        is_counted_only: Whether to only count multiply-adds; for models of the form
            of the paper.

    Raises:
        ValueError: A number is too small, or see `TimingSettings`.
    """

    is_counted_only: bool = False

    def __post_init__(self) -> None:
        if self.interval < 1 or self.repeats < 0:
            raise ValueError(
                'interval must be >= 1 and repeats >= 0, got '
                f'{self.interval} and {self.repeats}'
            )
        super().__post_init__()


def default_splits(model: nn.Module) -> list[int]:
    """Return the splits of Table 5, or the next possible ones with fewer layers.

    Raises:
        ValueError: The image model is not of the form of the paper.
    """
    known = sorted(numbered_splits(model))
    return sorted({max(k for k in known if k <= split) for split in PAPER_SPLITS})


def fill_split(model: nn.Module, state_dict: Mapping[str, Tensor]) -> bool | None:
    """Load weights that were trained at this split, or at another.

    Only the layer of the scale field depends on the split. If the weights of this
    layer are missing or have another shape, it is set to return S = 1.

    Args:
        model: DFF model.
        state_dict: Of a DFF model, or of the image model alone; F then keeps its
            weights.

    Returns:
        Whether the scale is as trained; None if F has no trained weights.

    Raises:
        ValueError: A weight of the image model is missing or does not fit.
    """
    prefix = f'{model.wrapped_name}.'
    own = model.state_dict()
    has_weights = any(key.startswith('propagation.') for key in own)
    is_dff = any(key.startswith('propagation.') for key in state_dict)
    is_dff = is_dff or not has_weights  # such as classical flow
    scale = {key: value for key, value in own.items() if key.startswith(SCALE)}
    fits = is_dff and all(
        key in state_dict and state_dict[key].shape == value.shape
        for key, value in scale.items()
    )
    given = {
        k: v for k, v in state_dict.items() if fits and k in scale or SCALE not in k
    }
    if is_dff and not fits:
        given |= {
            key: torch.full_like(value, float(key.endswith('bias')))
            for key, value in scale.items()
        }
    given, _ = adapt_frame_state_dict(given, model, prefix=prefix)
    if not is_dff:
        given = {k: v for k, v in own.items() if not k.startswith(prefix)} | given
    check_complete(given, model)
    model.load_state_dict(given)
    return fits if is_dff else None


@torch.no_grad()
def compare_key_frame(model: nn.Module, frame: Tensor) -> tuple[float, int]:
    """Predict a frame as a key frame and with the image model alone.

    Args:
        model: DFF model in eval mode.
        frame: uint8 (3, H, W).

    Returns:
        The largest difference of any value (0 if bit for bit equal, infinite if the
        numbers of values differ), and the number of values.
    """
    data = make_data(model, frame, 0)
    wanted = model.seam.frame_model().test_step(data)[0]
    model.reset_stream()
    found = model.test_step(make_data(model, frame, 0))[0]
    pairs = list(zip(_values(found), _values(wanted), strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        return float('inf'), 0
    gaps = [float((a - b).abs().max()) for a, b in pairs if a.numel()]
    return max(gaps, default=0.0), sum(a.numel() for a, _ in pairs)


def _values(result: Any) -> list[Tensor]:
    if 'pred_instances' in result:
        found = result.pred_instances
        return [found.bboxes.double(), found.scores.double(), found.labels.double()]
    names = [n for n in ('seg_logits', 'pred_sem_seg') if n in result]
    return [result.get(name).data.double() for name in names]


@torch.no_grad()
def count_layers(model: nn.Module, frame: Tensor) -> Complexity:
    """Count multiply-adds of a model of the form of the paper from shapes only.

    What follows the score layers is not counted.

    Args:
        model: DFF model in eval mode.
        frame: uint8 (3, H, W).

    Raises:
        ValueError: The image model is not of the form of the paper.
    """
    numbered_splits(model.image_model)
    image, _ = preprocess(model, make_data(model, frame, 0))
    seam = model.seam
    with FakeTensorMode(allow_non_fake_inputs=True):  # shapes only
        image = torch.empty(image.shape, device=image.device)
        n_feat, feats = count_macs(lambda: seam.head(image))
        flow, field = count_macs(lambda: model.propagation.estimate(image, image))
        fields = model.propagation.fields(*field, feats)
        n_task, _ = count_macs(lambda: _task_layers(seam, feats))
    return Complexity(n_feat, flow, warp_macs(fields, feats), n_task)


def _task_layers(seam: FeatureSeam, feats: Any) -> None:
    if not isinstance(seam.split_point, BehindScores):
        BehindScores().scores(seam.model, seam.tail(feats))


def measure_split(model: nn.Module, settings: SplitSettings) -> dict[str, Any]:
    """Count and time a split model and its image model.

    Args:
        model: DFF model in eval mode, scheduler of interval `TIMED_FRAMES`.
        settings: What to measure.

    Returns:
        `propagated`: stride and channels of each map; `macs` per part; `ratio`, r of
        Eq. (5), and the `predicted` speed-up; `milliseconds` of `frame`, `key`,
        `other` and the parts, and the measured `speedup` (None without rounds);
        `key_frame_gap` and `key_frame_values`, see `compare_key_frame` (None if only
        multiply-adds are counted).
    """
    frames = moving_frames(settings.size, TIMED_FRAMES)
    flow = model.propagation.flow_estimator
    gap = values = None
    if settings.is_counted_only:
        macs = count_layers(model, frames[0])
    else:
        macs = count_model(model, frames[0])
        gap, values = compare_key_frame(model, frames[0])
    row: dict[str, Any] = dict(
        split=model.split,
        propagated=dict(
            strides=list(flow.strides),
            scale_channels=list(getattr(flow, 'scale_channels', ())),
        ),
        macs=asdict(macs),
        ratio=macs.ratio(),
        predicted=predicted_speedup(macs.ratio(), settings.interval),
        key_frame_gap=gap,
        key_frame_values=values,
        milliseconds=None,
        speedup=None,
    )
    if settings.repeats and not settings.is_counted_only:
        options = dict(repeats=settings.repeats, clock=settings.clock)
        timings = time_model(model, frames, **options)
        times = summarise(timings, macs, TIMED_FRAMES)['milliseconds']
        times['other'] = times.pop('propagated')
        others = (settings.interval - 1) * times['other']
        row['milliseconds'] = times
        row['speedup'] = settings.interval * times['frame'] / (times['key'] + others)
    return row
