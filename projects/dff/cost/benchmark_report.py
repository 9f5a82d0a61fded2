"""Compare the times of a benchmark with Eq. (5) to (7), as figures and tables."""

from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np
from terminaltables import AsciiTable

from dff.engine.key_frame_hook import KeyFrames, format_positions

from .benchmark import Timings
from .complexity import Complexity, cost_ratio, predicted_speedup


def summarise(timings: Timings, macs: Complexity, interval: int) -> dict[str, Any]:
    """Combine measured times with predictions from multiply-adds.

    Args:
        timings: Seconds of every run.
        macs: Multiply-adds of the parts.
        interval: l, the mean of an adaptive scheduler.

    Returns:
        `key_frames` of one round: `count`, `frames`, `mean_interval`, `positions`;
        `macs` per part; `milliseconds` (medians); `rest_milliseconds`, the time of a
        frame outside its parts; `speedup`: measured (median over rounds of l frames),
        predicted by Eq. (7) with r of Eq. (6) and Eq. (5) from MACs, and with r of
        Eq. (5) from measured parts; `loss`: the speed-up if all parts ran at the rate
        of N_feat, then with the measured times of more and more parts.
    """
    seconds = timings.medians()
    ratio = cost_ratio(
        seconds['n_feat'],
        seconds['flow'],
        n_task=seconds['n_task'],
        warp=seconds['warp'],
    )
    task, warped = seconds['n_task'], seconds['flow'] + seconds['warp']
    rest = {
        'frame': seconds['frame'] - seconds['n_feat'] - task,
        'key': seconds['key'] - seconds['n_feat'] - task,
        'propagated': seconds['propagated'] - warped - task,
    }
    frames = len(timings.num_predictions) // len(timings.rounds)
    keys = KeyFrames(frames, timings.key_frames)
    speedups = [frame / stream for frame, stream in timings.rounds]
    return {
        'interval': interval,
        'key_frames': {
            'count': len(keys.keys),
            'frames': frames,
            'mean_interval': keys.mean_interval,
            'positions': format_positions(keys.keys),
        },
        'macs': asdict(macs),
        'milliseconds': {name: 1e3 * value for name, value in seconds.items()},
        'rest_milliseconds': {name: 1e3 * value for name, value in rest.items()},
        'speedup': {
            'measured': median(speedups),
            'rounds': speedups,
            'key_to_propagated': seconds['key'] / seconds['propagated'],
            'eq6_macs': predicted_speedup(macs.ratio(with_task=False), interval),
            'eq5_macs': predicted_speedup(macs.ratio(), interval),
            'eq5_measured_parts': predicted_speedup(ratio, interval),
        },
        'loss': _explain_loss(seconds, macs, interval),
        'predictions_per_frame': float(np.mean(timings.num_predictions)),
    }


def _explain_loss(
    seconds: dict[str, float], macs: Complexity, interval: int
) -> dict[str, float]:
    """Replace ideal times (MACs at N_feat's rate) by measured ones step by step."""
    rate = macs.n_feat / seconds['n_feat']
    parts = {'n_task': macs.n_task / rate, 'flow': macs.flow / rate, 'warp': 0.0}
    names = {'n_task': 'N_task', 'flow': 'F + S', 'warp': 'W'}
    steps = {}

    def speedup(frame: float, key: float, propagated: float) -> float:
        return interval * frame / (key + (interval - 1) * propagated)

    def ideal() -> float:
        key = seconds['n_feat'] + parts['n_task']
        return speedup(key, key, sum(parts.values()))

    steps['all at the rate of N_feat'] = ideal()
    for name, label in names.items():
        parts[name] = seconds[name]
        steps[f'measured {label}'] = ideal()
    steps['measured whole frames'] = speedup(
        seconds['frame'], seconds['key'], seconds['propagated']
    )
    return steps


def format_summary(summary: dict[str, Any]) -> str:
    """Format the summary of `summarise` as three tables."""
    ms, macs = summary['milliseconds'], summary['macs']
    labels = dict(n_feat='N_feat', flow='F + S', warp='W', n_task='N_task')
    rows = [['part', 'Gmac', 'ms', 'Gmac/s']]
    for part, label in labels.items():
        gmacs = macs[part] / 1e9
        rows.append(
            [label, f'{gmacs:.3f}', f'{ms[part]:.1f}', f'{1e3 * gmacs / ms[part]:.0f}']
        )
    parts = AsciiTable(rows, 'Parts').table
    rows = [['frame', 'ms', 'of it rest, ms']]
    for name, label in (('frame', 'Frame'), ('key', 'DFF key')):
        rest = summary['rest_milliseconds'][name]
        rows.append([label, f'{ms[name]:.1f}', f'{rest:.1f}'])
    rest = summary['rest_milliseconds']['propagated']
    rows.append(['DFF other', f'{ms["propagated"]:.1f}', f'{rest:.1f}'])
    frames = AsciiTable(rows, 'Whole frames').table
    labels = {
        'measured': 'measured',
        'eq5_measured_parts': 'Eq. (7), r of Eq. (5), measured parts',
        'eq5_macs': 'Eq. (7), r of Eq. (5), MACs',
        'eq6_macs': 'Eq. (7), r of Eq. (6), MACs',
    }
    figures = [(labels[name], summary['speedup'][name]) for name in labels]
    figures += [(f'loss: {step}', value) for step, value in summary['loss'].items()]
    rows = [['speed-up over Frame', f'l = {summary["interval"]}']]
    rows += [[label, f'{value:.2f}'] for label, value in figures]
    lines = [parts, frames, AsciiTable(rows, 'Speed-up').table]
    keys = summary.get('key_frames')  # not in files of earlier versions
    if keys is not None:
        lines.append(
            f'{keys["count"]} key frames in {keys["frames"]}, mean l '
            f'{keys["mean_interval"]:.2f}, at {keys["positions"]}'
        )
    return '\n'.join(lines)
