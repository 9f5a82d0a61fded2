"""Change the test of a config to the paper's per-offset protocol (Sec. 5.2)."""

from argparse import ArgumentTypeError
from collections.abc import Sequence

from mmengine.config import Config

from dff.models.wrap import is_video_config


def read_offsets(text: str) -> list[int]:
    """Read offsets such as ``5`` (0 to 4), ``0-9`` or ``0,2,4-6``.

    Raises:
        ArgumentTypeError: If the text has none of these forms, or repeats an offset.
    """
    try:
        offsets = list(range(int(text))) if text.isdigit() else []
        for part in () if text.isdigit() else text.split(','):
            first, _, last = part.partition('-')
            offsets += range(int(first), int(last or first) + 1)
    except ValueError:
        offsets = []
    if not offsets or len(set(offsets)) != len(offsets):
        raise ArgumentTypeError(
            'offsets must be a number l (0 to l - 1), or like 0-9 or 0,2,4, got '
            f'{text!r}'
        )
    return offsets


def evaluate_by_offset(
    cfg: Config,
    offsets: Sequence[int],
    *,
    out_file: str | None = None,
    clamp: bool = False,
) -> None:
    """Test each labelled frame i with each key frame k = i - offset.

    Segmentation is evaluated by one confusion matrix per offset and one over all
    offsets, detection by the metrics per offset and their mean.

    Args:
        cfg: Config of the run, changed in place. Its test data set must be a
            VideoPairDataset.
        offsets: The offsets.
        out_file: JSON file for the results; with several metrics, for the first one.
        clamp: Whether the first frame of a video replaces key frames before it. If
            not, a frame that lacks a key frame at one offset is excluded from all.

    Raises:
        ValueError: If the config tests an image model, or not on a VideoPairDataset.
    """
    if not is_video_config(cfg.model):
        raise ValueError(
            '--offsets needs a model with key frames, such as DFFVideoDetector; got '
            f'{cfg.model.type}'
        )
    dataset = cfg.test_dataloader.dataset
    if not str(dataset.get('type')).endswith('VideoPairDataset'):
        raise ValueError(
            f'--offsets needs a VideoPairDataset to test on, got {dataset.get("type")}'
        )
    dataset.test_offsets, dataset.clamp_test_offsets = list(offsets), clamp
    metrics = cfg.test_evaluator
    metrics = metrics if isinstance(metrics, (list, tuple)) else [metrics]
    cfg.test_evaluator = [
        dict(
            type='PerOffsetMetric',
            metric=_unwrap_metric(metric),
            offsets=list(offsets),
            pooled='IoU' in _unwrap_metric(metric)['type'],
            out_file=out_file if index == 0 else None,
        )
        for index, metric in enumerate(metrics)
        if metric['type'].rpartition('.')[2] not in STREAM_METRICS
    ]


# These metrics compare consecutive frames.
STREAM_METRICS = ('TemporalConsistency',)
# Metrics, and those that report each class, too.
PER_CLASS_METRICS = {'IoUMetric': 'SegIoUMetric'}


def _unwrap_metric(metric: dict) -> dict:
    """Return the config of the inner metric of VideoMetric or PerOffsetMetric."""
    metric = dict(metric)
    if metric['type'].rpartition('.')[2] in ('VideoMetric', 'PerOffsetMetric'):
        metric = dict(metric['metric'])
    name = metric['type'].rpartition('.')[2]
    return dict(metric, type=PER_CLASS_METRICS.get(name, metric['type']))
