"""What wrapping gives stock models: Eq. (5) at every split, and measured times."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from .tables import NOTHING

SPLITS = ('backbone', 'last', 'scores')
Rows = Mapping[str, Mapping[str, Any]]  # of `dff.cost.split_report`, by split


def tabulate_counts(models: Mapping[str, Rows]) -> pd.DataFrame:
    """Return Eq. (5) of each model.

    Args:
        models: Rows of :func:`dff.cost.split_report.describe_splits`, by the label of
            the model.

    Returns:
        A row for each model: what `auto` propagates and runs on every frame, and the
        speed-up at each split with F as free, with FlowNet at `auto` beside it.
    """
    table = {}
    for label, rows in models.items():
        auto = rows['auto']
        row = {
            '`auto` propagates': describe_maps(auto['propagated']),
            'Gmac': f'{auto["frame"] / 1e9:.1f}',
            'of it N_task': f'{auto["n_task"] / 1e9:.2f}',
        }
        row |= {split: _speedup(rows.get(split), 'free') for split in SPLITS}
        row['`auto`'] = _speedup(auto, 'free')
        row['`auto`, FlowNet'] = _speedup(auto, 'flownet')
        table[label] = row
    return pd.DataFrame.from_dict(table, orient='index')


def describe_maps(propagated: list[tuple[int, int]]) -> str:
    """Write (stride, channels) of maps: all channels at each stride."""
    channels: dict[int, int] = {}
    for stride, count in propagated:
        channels[stride] = channels.get(stride, 0) + count
    return ', '.join(f'{channels[stride]} at {stride}' for stride in sorted(channels))


def tabulate_times(summaries: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return the measured times of each model, in milliseconds.

    Args:
        summaries: JSON of `tools/analysis/benchmark.py`, by the label of the model.
    """
    columns = {
        'Frame': 'frame',
        'key': 'key',
        'other': 'propagated',
        'N_feat': 'n_feat',
        'F': 'flow',
        'W': 'warp',
        'N_task': 'n_task',
    }
    table = {}
    for label, summary in summaries.items():
        height, width = summary['size']
        times = summary['milliseconds']
        row = {'split': summary['split'], 'size': f'{height} × {width}'}
        row |= {head: f'{times[name]:.1f}' for head, name in columns.items()}
        row['speed-up'] = f'{summary["speedup"]["measured"]:.2f}'
        table[label] = row
    return pd.DataFrame.from_dict(table, orient='index')


def tabulate_checks(models: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return how many checks pass at each split.

    Args:
        models: JSON of `tools/check_model.py`, by the label of the model.
    """
    table = {}
    for label, report in models.items():
        splits = report['splits']
        table[label] = {split: _passed(splits.get(split)) for split in SPLITS}
    return pd.DataFrame.from_dict(table, orient='index')


def _passed(checks: Mapping[str, str | None] | None) -> str:
    if checks is None:
        return NOTHING
    return f'{sum(problem is None for problem in checks.values())} of {len(checks)}'


def _speedup(row: Mapping[str, Any] | None, name: str) -> str:
    return NOTHING if row is None else f'{row[name]:.2f}'
