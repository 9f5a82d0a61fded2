"""Blocks of results pages from the figures that `run_variants.py` left."""

import itertools
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from dff.visualization.offset_curves import Curve, read_figures
from dff_study.jobs.variant_files import find_figures
from dff_study.jobs.variants import VariantJob

from .result_runs import Run, check_known, names_in
from .variant_tables import make_class_table, make_summary, make_table

Options = Mapping[str, str]
Figures = dict[str, dict[int, dict[int, float]]]  # by row, seed and offset
CLASS = 'IoU.'  # figures of one class


def make_variants(run: Run, options: Options) -> str:
    """Mean and range over the seeds by offset.

    Options: `figure=`, `rows=A;B`, `offsets=0,5`, and `test=`, a test set of the plan.
    """
    figure = options.get('figure') or _plan(run).figure
    figures = _select_rows(_read(run, figure, options), options)
    offsets = [int(name) for name in names_in(options.get('offsets'))]
    if offsets:
        figures = {
            row: {
                seed: {o: curve[o] for o in offsets if o in curve}
                for seed, curve in seeds.items()
            }
            for row, seeds in figures.items()
        }
    return make_table(figures)


def make_variants_summary(run: Run, options: Options) -> str:
    """Show what rows win back against copied features and keep of Frame."""
    plan = _plan(run)
    figures = _read(run, options.get('figure') or plan.figure, options)
    names = ('copied', 'offsets', 'interval')
    return make_summary(figures, **{name: plan.tables[name] for name in names})


def make_classes(run: Run, options: Options) -> str:
    """IoU of each class at `offset=`, mean over seeds."""
    by_class: dict[str, dict[str, Any]] = {}
    for name in _names(_read_files(run, options)):
        if name.startswith(CLASS):
            for row, seeds in _read(run, name, options).items():
                by_class.setdefault(row, {})[name.removeprefix(CLASS)] = seeds
    return make_class_table(_select_rows(by_class, options), int(options['offset']))


def make_report(run: Run, options: Options) -> str:
    """Print the tables of `run_variants.py --report` whose titles begin with `title=`.

    `number=` takes one of several, from 1: plans with test sets have each table once a
    set.
    """
    _read_files(run, {'test': next(iter(_plan(run).get('tests', {'': None})))})
    job = VariantJob(run.root, run.root / run.info['plan'], run.folder)
    parts = iter(job.report().split('\n\n'))
    sections = [
        f'{title}\n\n{table}' for title, table in zip(parts, parts, strict=True)
    ]
    found = [text for text in sections if text.startswith(options.get('title', ''))]
    if 'number' in options:
        found = found[int(options['number']) - 1 :][:1]
    if not found:
        titles = [text.split('\n')[0] for text in sections]
        raise ValueError(f'title and number must pick one of {titles}')
    return '\n\n'.join(found)


def _plan(run: Run) -> Config:
    if 'plan' not in run.info:
        raise ValueError(f'run.yml of {run.name} must name its `plan`')
    return Config.fromfile(run.root / run.info['plan'])


def _read_files(run: Run, options: Options) -> dict[str, dict[int, dict[str, Curve]]]:
    """Read a test's figures by row, seed and name, rows in the order of the plan."""
    test, found = options.get('test', ''), {}
    for row in _plan(run).variants:
        paths = find_figures(run.folder, row, test)
        if paths:
            found[row] = {seed: read_figures(path) for seed, path in paths.items()}
    said, seen = run.info['seeds'], sorted({s for row in found.values() for s in row})
    if not found or sorted(said) != seen:
        raise ValueError(
            f'run.yml of {run.name} must name the seeds of the figures'
            f'{f" of {test}" if test else ""}, {seen}, got {said}'
        )
    return found


def _names(files: Mapping[str, Mapping[int, Mapping[str, Curve]]]) -> list[str]:
    """List the figures."""
    tests = [figures for seeds in files.values() for figures in seeds.values()]
    return list(dict.fromkeys(itertools.chain.from_iterable(tests)))


def _read(run: Run, figure: str, options: Options) -> Figures:
    """Read one figure, times the plan's `factor`."""
    files, factor = _read_files(run, options), _plan(run).get('factor', 1)
    figures: Figures = {}
    for row, seeds in files.items():
        for seed, curves in seeds.items():
            curve = {o: value * factor for o, value in curves.get(figure, {}).items()}
            if curve:
                figures.setdefault(row, {})[seed] = curve
    if not figures:
        raise ValueError(
            f'figure must be of {_names(files)} in the run {run.name}, got {figure!r}'
        )
    return figures


def _select_rows(figures: dict[str, Any], options: Options) -> dict[str, Any]:
    rows = [name.strip() for name in options.get('rows', '').split(';') if name.strip()]
    check_known(rows, list(figures), 'rows')
    return {row: figures[row] for row in rows or figures}
