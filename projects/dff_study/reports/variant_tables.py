"""Tables of a job over variants and seeds, from the figures that its tests wrote."""

from collections.abc import Mapping, Sequence
from statistics import mean

from dff.markdown import to_markdown

Curve = Mapping[int, float]  # by offset
Seeds = Mapping[int, Curve]  # by seed


def make_table(figures: Mapping[str, Seeds]) -> str:
    """Lay out mean and range over the seeds, a row a variant, a column an offset."""
    curves = [curve for seeds in figures.values() for curve in seeds.values()]
    offsets = sorted({offset for curve in curves for offset in curve})
    rows = []
    for name, seeds in figures.items():
        values = [
            [c[offset] for c in seeds.values() if offset in c] for offset in offsets
        ]
        rows.append([name, str(len(seeds)), *map(_spread, values)])
    return to_markdown(['', 'seeds', *map(str, offsets)], rows)


def make_class_table(by_class: Mapping[str, Mapping[str, Seeds]], offset: int) -> str:
    """Lay out the means over the seeds at one offset, a column a class.

    Args:
        by_class: Figures by variant, class, seed and offset.
        offset: Which one.
    """
    classes = list(dict.fromkeys(name for row in by_class.values() for name in row))
    rows = []
    for variant, columns in by_class.items():
        cells = []
        for name in classes:
            seeds = columns.get(name, {}).values()
            values = [curve[offset] for curve in seeds if offset in curve]
            cells.append(f'{mean(values):.1f}' if values else '-')
        rows.append([variant, *cells])
    return to_markdown(['', *classes], rows)


def make_summary(
    figures: Mapping[str, Seeds], *, copied: str, offsets: Sequence[int], interval: int
) -> str:
    """Lay out how much each variant wins back, and keeps of Frame.

    Frame is offset 0 of the copied features, seed by seed. Columns: offset 0 less
    Frame; the mean over ``offsets``; the share of what copying loses there that is
    won back; the mean over 0 ... l - 1 in percent of Frame.

    Args:
        figures: By variant, seed and offset.
        copied: Name of the variant that copies features with the weights of Frame.
        offsets: What is averaged for what is won back.
        interval: l.
    """
    span = f'{min(offsets)}-{max(offsets)}'
    head = ['', '0 - Frame', f'mean {span}', 'won back', f'% of Frame, l = {interval}']
    rows = []
    for name, seeds in figures.items():
        columns: list[list[float]] = [[], [], [], []]
        for seed, curve in seeds.items():
            base = figures.get(copied, {}).get(seed)
            if base is None:
                continue
            frame = base[0]
            columns[0].append(curve[0] - frame)
            columns[1].append(mean(curve[offset] for offset in offsets))
            columns[2].append(
                100 * won_back(curve, frame=frame, copied=base, offsets=offsets)
            )
            columns[3].append(100 * mean(curve[o] for o in range(interval)) / frame)
        rows.append([name, *map(_spread, columns)])
    return to_markdown(head, rows)


def make_paper_table(
    figures: Mapping[str, Seeds],
    paper: Mapping[str, float],
    *,
    copied: str,
    interval: int,
) -> str:
    """Lay out Table 4: the mean over the offsets 0 to l - 1 beside the paper's.

    Frame is offset 0 of the copied features, seed by seed; differences are of the
    same seed. Columns: seeds; ours; ours less Frame; ours at offset 0 less Frame; the
    paper's figure, and the same less its Frame.

    Args:
        figures: By variant, seed and offset; rows that lack an offset are left out.
        paper: The paper's figure by variant, Frame's as 'Frame'.
        copied: Name of the variant that copies features with the weights of Frame.
        interval: l.
    """
    head = ['', 'seeds', 'mean', 'mean - Frame', 'key frames - Frame']
    head += ['paper', 'paper - Frame']
    frames = {seed: curve[0] for seed, curve in figures.get(copied, {}).items()}
    rows = [_paper_row('Frame', paper, [list(frames.values()), [], []])]
    for name, seeds in figures.items():
        columns: list[list[float]] = [[], [], []]
        for seed, curve in seeds.items():
            if seed not in frames or any(o not in curve for o in range(interval)):
                continue
            ours = mean(curve[offset] for offset in range(interval))
            columns[0].append(ours)
            columns[1].append(ours - frames[seed])
            columns[2].append(curve[0] - frames[seed])
        if columns[0]:
            rows.append(_paper_row(name, paper, columns))
    return to_markdown(head, rows)


def _paper_row(
    name: str, paper: Mapping[str, float], columns: Sequence[Sequence[float]]
) -> list[str]:
    row = [name, str(len(columns[0])), *map(_spread, columns)]
    if name not in paper:
        return [*row, '-', '-']
    return [*row, f'{paper[name]:.1f}', f'{paper[name] - paper["Frame"]:.1f}']


def won_back(
    curve: Curve, *, frame: float, copied: Curve, offsets: Sequence[int]
) -> float:
    """Give the share of what copying loses that a method wins back.

    (method - copy) / (Frame - copy), each the mean over ``offsets``.

    Raises:
        ValueError: Copying loses nothing.
    """
    method = mean(curve[offset] for offset in offsets)
    copy = mean(copied[offset] for offset in offsets)
    if frame == copy:
        raise ValueError(f'copying loses nothing over the offsets {list(offsets)}')
    return (method - copy) / (frame - copy)


def _spread(values: Sequence[float]) -> str:
    """Write the mean and half the range."""
    if not values:
        return '-'
    return f'{mean(values):.1f} ± {(max(values) - min(values)) / 2:.1f}'
