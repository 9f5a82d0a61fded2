"""The tables of docs/results.md, each from the files of a run in docs/runs."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
from mmengine.config import Config

import dff  # noqa: F401  (registers what the configs name)
from dff.cost.benchmark_report import format_summary
from dff.cost.training_step import tabulate_steps
from dff_study.variants.figures import read_variants
from dff_study.variants.plan import VariantPlan

from .runs import RUNS, Run, read_rows
from .split_table import find_paper, tabulate_splits
from .tables import NOTHING
from .tradeoff_table import tabulate_parts
from .variant_tables import (
    make_class_table,
    make_paper_table,
    make_report,
    make_summary,
    make_table,
)
from .wrapped_table import tabulate_checks, tabulate_counts, tabulate_times

FLOW_COLUMNS = {
    'flow/epe': 'all',
    'flow/epe_0-10': '0-10 px',
    'flow/epe_10-40': '10-40 px',
    'flow/epe_40+': 'above',
}
SCALE_OF_AP = 100  # AP is in 0 ... 1


class ResultTables:
    """Tables by name of a run.

    Args:
        root: Of the repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = cache(lambda name: Run.read(root, name))
        self.variants = cache(self._read_variants)

    def plan(self, name: str) -> VariantPlan:
        """Read the plan of a run of `run_variants.py`."""
        return VariantPlan(self.root / self.run(name).info['plan'])

    def variant_runs(self) -> list[str]:
        """Return the names of all runs of `run_variants.py`."""
        names = [path.parent.name for path in (self.root / RUNS).glob('*/run.yml')]
        return sorted(name for name in names if 'plan' in self.run(name).info)

    def report(self, name: str) -> str:
        """Return all tables of a run as `run_variants.py --report` prints them."""
        return make_report(self.plan(name), self.run(name).folder)

    def offsets(self, name: str, *, test: str = '') -> pd.DataFrame:
        """Return mean and half the range over seeds, for each variant and offset."""
        return make_table(self.variants(name, test))

    def summary(self, name: str, *, test: str = '') -> pd.DataFrame:
        """Return what each variant recovers of what copying loses, keeps of Frame."""
        tables = self.plan(name).tables
        options = {key: tables[key] for key in ('copied', 'offsets', 'interval')}
        return make_summary(self.variants(name, test), **options)

    def paper(self, name: str, *, test: str = '') -> pd.DataFrame:
        """Return Table 4 beside the figures of the paper."""
        tables = self.plan(name).tables
        options = {key: tables[key] for key in ('copied', 'interval')}
        return make_paper_table(self.variants(name, test), tables['paper'], **options)

    def classes(self, name: str, offset: int) -> pd.DataFrame:
        """Return the IoU of each class, mean over seeds."""
        return make_class_table(self.variants(name, '', None), offset)

    def recovered(self, name: str, curves: str, *, copied: str) -> pd.DataFrame:
        """Return the summary of printed curves of AP, over offsets 5-9 and l = 10."""
        table = self.run(name).printed(curves)
        columns = [column for column in table if column.isdigit()]
        figures = SCALE_OF_AP * table[columns].astype(float)
        figures.columns = [int(column) for column in columns]
        seeds = [(variant, 0) for variant in figures.index]
        figures.index = pd.MultiIndex.from_tuples(seeds, names=['variant', 'seed'])
        options = dict(copied=copied, offsets=range(5, 10), interval=10)
        summary = make_summary(figures, **options)
        return summary.map(lambda cell: cell.removesuffix(' ± 0.0'))  # one seed

    def flow(self) -> pd.DataFrame:
        """Return end-point errors in pixels, for each method and length of motion."""
        run, rows = self.run('flow'), {}
        for label, file in run.info['flow'].items():
            figures = pd.Series(run.json(file)).reindex(FLOW_COLUMNS)
            rows[label] = [NOTHING if pd.isna(x) else f'{x:.2f}' for x in figures]
        columns = list(FLOW_COLUMNS.values())
        return pd.DataFrame.from_dict(rows, orient='index', columns=columns)

    def benchmarks(self, names: Mapping[str, str]) -> pd.DataFrame:
        """Return the lines that `benchmark.py` prints, with a column for each run.

        Args:
            names: Run by head of its column.
        """
        columns = {}
        for head, name in names.items():
            run = self.run(name)
            if 'json' in run.info:
                text = format_summary(run.json(run.info['json']))
            else:
                text = run.text('printed.txt')
            columns[head] = dict(_benchmark_lines(read_rows(text)))
        return pd.DataFrame(columns)

    def table2(self) -> pd.DataFrame:
        """Return Table 2: multiply-adds of the flow networks."""
        networks, rows = self.run('complexity').json('table2.json'), {}
        for name, network in networks['flow_networks'].items():
            row = {'M parameters': f'{network["parameters"] / 1e6:.2f}'}
            row['Gmac'] = f'{network["macs"] / 1e9:.3f}'
            for depth, ratio in network['by_depth'].items():
                row[f'1/r, R-{depth}'] = f'{ratio["inverse_ratio"]:.2f}'
                row[f'paper, R-{depth}'] = f'{ratio["paper"]:.2f}'
            rows[name] = row
        return pd.DataFrame.from_dict(rows, orient='index')

    def splits(self, network: str) -> str:
        """Return Table 5 without training, as Markdown."""
        rows = self.run('split_points').json(f'{network}.json')
        paper = find_paper(Config.fromfile(self.root / rows[0]['config']))
        return tabulate_splits(rows, paper=paper)

    def tradeoff(self, name: str, intervals: Sequence[int]) -> pd.DataFrame:
        """Return measured / predicted speed-up of each row at each l.

        Rows with accuracy have it, with its spread, in front.
        """
        path = self.run(name).folder / 'tradeoff.csv'
        rows: dict[str, dict[str, str]] = {}
        for point in pd.read_csv(path).itertuples():
            if point.interval in intervals:
                row = rows.setdefault(point.row, {})
                row[f'l = {point.interval}'] = _tradeoff_cell(point)
        return pd.DataFrame.from_dict(rows, orient='index')

    def speed_parts(self, name: str) -> str:
        """Return milliseconds per part, as Markdown."""
        run = self.run(name)
        files = run.info['speeds'].items()
        return tabulate_parts({row: run.json(file) for row, file in files})

    def wrapped(self, kind: str) -> pd.DataFrame:
        """Return a table of the run `wrapped_models`.

        Args:
            kind: `counts`, `times` or `checks`: a mapping in its `run.yml` from the
                label of a model to its file (and, for times, a split after it).
        """
        run = self.run('wrapped_models')
        makers = {
            'counts': tabulate_counts,
            'times': tabulate_times,
            'checks': tabulate_checks,
        }
        reports = {label: run.json(file) for label, file in run.info[kind].items()}
        if kind == 'counts':  # complexity.py writes rows by config
            reports = {n: next(iter(rows.values())) for n, rows in reports.items()}
        return makers[kind](reports)

    def training_steps(self) -> str:
        """Return the cost of a training step, as Markdown."""
        run = self.run('training_step')
        return tabulate_steps([run.json(file) for file in run.info['steps']])

    def table_of(self, name: str, file: str) -> pd.DataFrame:
        """Return the `table` of a JSON file, its first row being the head."""
        head, *rows = self.run(name).json(file)['table']
        labels = [row[0] for row in rows]
        return pd.DataFrame([row[1:] for row in rows], index=labels, columns=head[1:])

    def _read_variants(
        self, name: str, test: str, figure: str | None = ''
    ) -> pd.DataFrame:
        """Read one figure, by default that of the plan, or all (None)."""
        run, plan = self.run(name), self.plan(name)
        figures = read_variants(plan, run.folder, test)
        seeds = sorted(figures.index.unique('seed'))
        if seeds != sorted(run.info['seeds']):
            raise ValueError(
                f'run.yml of {name} must have the seeds of its figures, {seeds}, got '
                f'{run.info["seeds"]}'
            )
        return figures if figure is None else figures[figure or plan.figure]


def mean_of(cell: str) -> str:
    """Return a cell without its spread."""
    return cell.split(' ± ')[0]


def _benchmark_lines(rows: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Name the cells of what `benchmark.py` prints: parts, frames and speed-ups."""
    lines = []
    for label, *cells in rows:
        if len(cells) == 3 and label != 'part':
            gmac, ms, rate = cells
            lines.append((f'{label}: Gmac, ms, Gmac/s', f'{gmac}, {ms}, {rate}'))
        elif len(cells) == 2 and label != 'frame':
            lines.append((f'{label}: ms, of it rest', ', '.join(cells)))
        elif len(cells) == 1 and not label.startswith('speed-up'):
            is_loss = label.startswith('loss')
            lines.append((label if is_loss else f'speed-up, {label}', cells[0]))
    return lines


def _tradeoff_cell(point: tuple) -> str:
    eq5 = NOTHING if pd.isna(point.speedup_eq5) else f'{point.speedup_eq5:.2f}'
    speed = f'{point.speedup:.2f} / {eq5}'
    if pd.isna(point.accuracy):
        return speed
    return f'{point.accuracy:.2f} ± {point.accuracy_spread:.2f}, {speed}'
