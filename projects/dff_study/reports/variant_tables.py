"""Tables of the variants of a model (paper Tab. 4), with the spread over seeds.

All functions take figures with rows (variant, seed) and a column for each offset, and
return a table of text with a row for each variant.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dff_study.variants.figures import read_variants
from dff_study.variants.plan import VariantPlan

from .tables import NOTHING, format_spread, to_markdown

CLASS = 'IoU.'  # prefix of the figures of one class


def make_report(plan: VariantPlan, folder: Path) -> str:
    """Write all tables that a plan asks for, as Markdown.

    Args:
        plan: Its `tables` say which variant is copied, over which offsets and l to
            average, the figures of the paper, and for which offsets to show classes.
        folder: Of the job; tests that are not finished are left out.
    """
    return '\n\n'.join(_report_test(plan, folder, test) for test in plan.tests)


def _report_test(plan: VariantPlan, folder: Path, test: str) -> str:
    read = read_variants(plan, folder, test)
    name = f'{test}: {plan.figure}' if test else plan.figure
    if plan.figure not in read:
        return f'{name}: no test is finished'
    figures, options = read[plan.figure], plan.tables
    unit = '' if plan.factor == 1 else f' x {plan.factor}'
    parts = [f'{name}{unit}, mean ± half the range over seeds']
    parts.append(to_markdown(make_table(figures)))
    if options.get('copied') in figures.index.unique('variant'):
        against = dict(copied=options['copied'], interval=options['interval'])
        if 'paper' in options:
            interval = options['interval']
            parts.append(f'Table 4, l = {interval}: mean over offsets 0 to l - 1')
            table = make_paper_table(figures, options['paper'], **against)
            parts.append(to_markdown(table))
        summary = make_summary(figures, offsets=options['offsets'], **against)
        parts += ['Against Frame and copied features', to_markdown(summary)]
    for offset in options.get('class_offsets', ()):
        if not (table := make_class_table(read, offset)).empty:
            parts.append(f'IoU of each class at offset {offset}, mean over seeds')
            parts.append(to_markdown(table))
    return '\n\n'.join(parts)


def make_table(figures: pd.DataFrame) -> pd.DataFrame:
    """Show mean and half the range over the seeds for each offset."""
    table = _over_seeds(figures[sorted(figures.columns)])
    table.insert(0, 'seeds', _count_seeds(figures))
    return table


def make_class_table(figures: pd.DataFrame, offset: int) -> pd.DataFrame:
    """Show the mean IoU of each class over the seeds at one offset.

    Args:
        figures: Columns (figure, offset), as `read_variants` returns them.
        offset: Distance from the key frame.
    """
    names = {
        name: name.removeprefix(CLASS)
        for name, at in figures.columns
        if name.startswith(CLASS) and at == offset
    }
    columns = figures[[(name, offset) for name in names]].droplevel('offset', axis=1)
    means = columns.rename(columns=names).groupby(level='variant', sort=False).mean()
    return means.map(lambda x: NOTHING if pd.isna(x) else f'{x:.1f}')


def make_summary(
    figures: pd.DataFrame, *, copied: str, offsets: Sequence[int], interval: int
) -> pd.DataFrame:
    """Show how much each variant recovers of what copying loses, and keeps of Frame.

    Frame is offset 0 of the copied features with the same seed. Columns: offset 0 less
    Frame; the mean over ``offsets``; the percentage of the loss by copying that is
    recovered there; the mean over 0 ... l - 1 in percent of Frame.

    Args:
        figures: See the top of this file.
        copied: The variant that copies features with the weights of Frame.
        offsets: Averaged for what is recovered.
        interval: l.

    Raises:
        ValueError: Copying loses nothing, so no share of the loss exists.
    """
    base = _of_same_seed(figures.loc[copied], figures)
    frame, means = base[0], figures[list(offsets)].mean(axis=1)
    columns = {
        '0 - Frame': figures[0] - frame,
        f'mean {min(offsets)}-{max(offsets)}': means.where(frame.notna()),
        'won back': 100 * won_back(means, frame, base[list(offsets)].mean(axis=1)),
        f'% of Frame, l = {interval}': 100
        * figures[list(range(interval))].mean(axis=1)
        / frame,
    }
    return _over_seeds(pd.DataFrame(columns))


def make_paper_table(
    figures: pd.DataFrame, paper: Mapping[str, float], *, copied: str, interval: int
) -> pd.DataFrame:
    """Show Table 4: the mean over the offsets 0 to l - 1 beside that of the paper.

    Frame is offset 0 of the copied features with the same seed. Columns: seeds; our
    mean; the mean less Frame; offset 0 less Frame; the paper's mean, and the same less
    the paper's Frame.

    Args:
        figures: See the top of this file; rows that lack an offset are left out.
        paper: Figure of the paper by variant, and its 'Frame'.
        copied: The variant that copies features with the weights of Frame.
        interval: l.
    """
    frames = figures.loc[copied][0]
    known = figures.reindex(columns=range(interval)).dropna()
    frame = _of_same_seed(figures.loc[copied], known)[0].dropna()
    known = known.loc[frame.index]
    means = known.mean(axis=1)
    columns = {
        'mean': means,
        'mean - Frame': means - frame,
        'key frames - Frame': known[0] - frame,
    }
    table = _over_seeds(pd.DataFrame(columns))
    table.insert(0, 'seeds', _count_seeds(known))
    row = [str(len(frames)), format_spread(frames), NOTHING, NOTHING]
    head = pd.DataFrame([row], index=['Frame'], columns=table.columns)
    table = pd.concat([head, table])
    given = {name: paper[name] for name in table.index if name in paper}
    table['paper'] = [
        f'{given[name]:.1f}' if name in given else NOTHING for name in table.index
    ]
    table['paper - Frame'] = [
        f'{given[name] - paper["Frame"]:.1f}' if name in given else NOTHING
        for name in table.index
    ]
    return table


def won_back(method: pd.Series, frame: pd.Series, copied: pd.Series) -> pd.Series:
    """Return the share of what copying loses that a method recovers.

    (method - copied) / (Frame - copied), row by row.

    Raises:
        ValueError: Copying loses nothing.
    """
    if (frame == copied).any():
        raise ValueError('copying loses nothing over these offsets')
    return (method - copied) / (frame - copied)


def _of_same_seed(by_seed: pd.DataFrame, figures: pd.DataFrame) -> pd.DataFrame:
    """Repeat the rows of one variant for all variants; unknown seeds give nan."""
    rows = by_seed.reindex(figures.index.get_level_values('seed'))
    return rows.set_index(figures.index)


def _over_seeds(columns: pd.DataFrame) -> pd.DataFrame:
    return columns.groupby(level='variant', sort=False).agg(format_spread)


def _count_seeds(figures: pd.DataFrame) -> pd.Series:
    return figures.groupby(level='variant', sort=False).size().astype(str)
