"""Turn a config's test into the paper's protocol by offset (Sec. 5.2)."""

from argparse import ArgumentTypeError
from collections.abc import Sequence

from mmengine.config import Config


def read_offsets(text: str) -> list[int]:
    """Read offsets such as ``5`` (0 to 4), ``0-9`` or ``0,2,4-6``.

    Raises:
        ArgumentTypeError: It is nothing of that.
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

    Segmentation gets one confusion matrix an offset and one over all of them,
    detection the figures an offset and their mean.

    Args:
        cfg: Of the run, changed in place; its test data set is a VideoPairDataset.
        offsets: The offsets.
        out_file: JSON file of the figures; with several metrics, of the first.
        clamp: Whether a video's first frame stands in for those before it; else
            frames that lack one of their keys are left out of every offset.

    Raises:
        ValueError: The config tests no videos, or an image model.
    """
    if 'propagation' not in cfg.model:
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
            metric=_one_offset(metric),
            offsets=list(offsets),
            pooled='IoU' in _one_offset(metric)['type'],
            out_file=out_file if index == 0 else None,
        )
        for index, metric in enumerate(metrics)
        if metric['type'].rpartition('.')[2] not in OF_STREAMS
    ]


# What has no meaning where frames do not follow each other.
OF_STREAMS = ('TemporalConsistency',)
# The metric that also gives each class its figure.
DETAILED = {'IoUMetric': 'SegIoUMetric'}


def _one_offset(metric: dict) -> dict:
    """Take the metric out of the wrappers that stand for a stream."""
    metric = dict(metric)
    if metric['type'].rpartition('.')[2] in ('VideoMetric', 'PerOffsetMetric'):
        metric = dict(metric['metric'])
    name = metric['type'].rpartition('.')[2]
    return dict(metric, type=DETAILED.get(name, metric['type']))
