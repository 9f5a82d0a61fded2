"""Table 5: the measurements of each split, beside the figures of the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from .tables import rows_to_markdown

# paper Tab. 5, R-101 with FlowNet: accuracy and frames per second on a K40 by layers in
# N_task. Frame is from Tab. 4.
PAPER_TABLE5 = {
    'segmentor': {
        21: (69.1, 2.87),
        12: (69.1, 3.14),
        5: (69.2, 3.89),
        1: (69.2, 5.60),
        0: (69.5, 5.61),
    },
    'detector': {
        21: (73.2, 7.23),
        12: (73.3, 8.04),
        5: (73.2, 9.99),
        1: (73.1, 20.25),
        0: (72.7, 20.40),
    },
}
PAPER_FRAME_FPS = {'segmentor': 1.52, 'detector': 4.05}
PAPER_FIGURE = {'segmentor': 'mIoU', 'detector': 'mAP'}
TASKS = {'DFFVideoSegmentor': 'segmentor', 'DFFVideoDetector': 'detector'}


def find_paper(cfg: Config) -> str | None:
    """Return the task of Table 5 that a config belongs to, or None."""
    task = TASKS.get(str(cfg.model.type).rpartition('.')[2])
    if task is None:
        return None
    model, flow = cfg.model[task], cfg.model.propagation.flow_estimator
    is_paper = (
        model.type in ('RFCN', 'EncoderDecoder')
        and model.backbone.type == 'ResNet'
        and model.backbone.get('depth') == 101
        and model.get('neck', {}).get('type') == 'DilatedNeck'
        and flow.type == 'FlowNetS'
        and flow.get('width', 1) == 1
    )
    return task if is_paper else None


def tabulate_splits(
    rows: Sequence[Mapping[str, Any]],
    *,
    figure: str | None = None,
    paper: str | None = None,
) -> str:
    """Write the rows of a `SplitJob` as Markdown.

    Args:
        rows: From `SplitJob.read`.
        figure: Name of the accuracy, such as ``mIoU``; None takes the first.
        paper: Task of `PAPER_TABLE5` whose figures are added.

    Raises:
        ValueError: No test has this figure.
    """
    if not rows:
        return 'no split is measured yet'
    interval = rows[0]['settings']['interval']
    has_times = any(row['milliseconds'] for row in rows)
    has_accuracy = any(row['accuracy'] for row in rows)
    head = ['layers in N_task', 'propagated', 'N_feat, Gmac', 'F + S', 'N_task']
    head += ['r, Eq. (5)', f'predicted, l = {interval}']
    head += ['Frame, ms', 'key', 'other', 'measured'] if has_times else []
    has_keys = any(row['key_frame_values'] is not None for row in rows)
    head += ['key frame - Frame'] if has_keys else []
    head += ['accuracy'] if has_accuracy else []
    if paper:
        head += ['paper: x Frame', f'paper: {PAPER_FIGURE[paper]}']
    body = []
    for row in rows:
        cells = [str(row['split']), _maps(row['propagated']), *_macs(row)]
        cells += _times(row) if has_times else []
        cells += [_gap(row)] if has_keys else []
        cells += [_accuracy(row, figure, interval)] if has_accuracy else []
        cells += _paper(row['split'], paper) if paper else []
        body.append(cells)
    return rows_to_markdown(head, body)


def _maps(propagated: Mapping[str, Sequence[int]]) -> str:
    strides, channels = propagated['strides'], propagated['scale_channels']
    if not channels:  # no scale field, so the number is unknown
        return ', '.join(f'stride {stride}' for stride in strides)
    pairs = zip(channels, strides, strict=True)
    return ', '.join(f'{count} at {stride}' for count, stride in pairs)


def _macs(row: Mapping[str, Any]) -> list[str]:
    macs = [f'{row["macs"][part] / 1e9:.3f}' for part in ('n_feat', 'flow', 'n_task')]
    return [*macs, f'{row["ratio"]:.4f}', f'{row["predicted"]:.2f}x']


def _times(row: Mapping[str, Any]) -> list[str]:
    times = row['milliseconds']
    if not times:
        return [''] * 4
    cells = [f'{times[name]:.1f}' for name in ('frame', 'key', 'other')]
    return [*cells, f'{row["speedup"]:.2f}x']


def _gap(row: Mapping[str, Any]) -> str:
    gap = row['key_frame_gap']
    size = 'another number' if gap is None else f'{gap:.3g}'
    return f'{size} of {row["key_frame_values"]} values'


def _accuracy(row: Mapping[str, Any], figure: str | None, interval: int) -> str:
    tested = row['accuracy']
    if not tested:
        return ''
    # segmentation has one confusion matrix of all offsets, as the paper's mIoU
    figures = tested.get('pooled') or tested['mean']
    name = figure or next(iter(figures))
    if name not in figures:
        raise ValueError(f'figure must be one of {sorted(figures)}, got {name!r}')
    scale = '' if row['is_scale_trained'] else ', S = 1'
    return f'{name} {figures[name]:.4f}{scale}'


def _paper(split: int | str, task: str) -> list[str]:
    if split not in PAPER_TABLE5[task]:
        return ['', '']
    accuracy, fps = PAPER_TABLE5[task][split]
    return [f'{fps / PAPER_FRAME_FPS[task]:.2f}x ({fps} fps)', f'{accuracy}']
