"""Kinds of blocks on the results pages: each lays out files of a run as text.

A kind is called with the run and the options of its mark, and returns Markdown. The
cells of these tables are what marks in prose and the metafiles quote.
"""

import re
from collections.abc import Callable, Mapping

from dff.cost.benchmark_report import format_summary
from dff.cost.complexity_report import format_model
from dff.cost.training_step import tabulate_steps
from dff.markdown import to_markdown
from dff.visualization.offset_curves import Curve, read_curve, tabulate_curves

from .result_runs import Run, check_known, names_in, parse_tables
from .result_variants import (
    make_classes,
    make_report,
    make_variants,
    make_variants_summary,
)
from .tradeoff_table import tabulate_parts
from .variant_tables import make_summary

Options = Mapping[str, str]
SCALE_OF_AP = 100  # AP is in 0 ... 1


def render(run: Run, kind: str, options: Options) -> str:
    """Lay out one block.

    Raises:
        ValueError: There is no such kind, or it does not know an option.
    """
    check_known([kind], list(KINDS), 'kind of a block')
    make, known = KINDS[kind]
    check_known(options, known, f'options of {kind}')
    return make(run, options)


def make_offsets(run: Run, options: Options) -> str:
    """Curves of `plot_offsets.py`: `curves=NAME` of run.yml, `figure=`.

    A table that was printed is shown as it is: means of rounded figures differ.
    """
    curves = _curve_set(run, options)
    if isinstance(curves, str):
        return run.path(curves).read_text(encoding='utf-8').strip('\n')
    return tabulate_curves(_read_curves(run, options))


def make_won_back(run: Run, options: Options) -> str:
    """Show what curves win back against `copied=`, at `offsets=` and l = `interval=`.

    AP is multiplied by 100.
    """
    curves = _read_curves(run, options)
    check_known([options['copied']], list(curves), 'copied')
    points = {
        label: {0: {o: SCALE_OF_AP * value for o, value in curve.items()}}
        for label, curve in curves.items()
    }
    table = make_summary(
        points,
        copied=options['copied'],
        offsets=[int(name) for name in names_in(options['offsets'])],
        interval=int(options['interval']),
    )
    return table.replace(' ± 0.0', '')  # of one seed


def _curve_set(run: Run, options: Options) -> str | dict[str, str]:
    """Pick one of `curves:` of run.yml: label and file each, or one printed table."""
    sets = run.info.get('curves', {})
    name = options.get('curves') or next(iter(sets), '')
    check_known([name], list(sets), f'curves of the run {run.name}')
    return sets[name]


def _read_curves(run: Run, options: Options) -> dict[str, Curve]:
    files, figure = _curve_set(run, options), options.get('figure')
    if not isinstance(files, str):
        paths = {label: run.path(file) for label, file in files.items()}
        return {label: read_curve(path, figure)[1] for label, path in paths.items()}
    (head, *rows), *_ = parse_tables(run.path(files).read_text(encoding='utf-8'))
    columns = {int(cell): i for i, cell in enumerate(head) if cell.isdigit()}
    return {
        row[0]: {o: float(row[i]) for o, i in columns.items() if row[i] != '-'}
        for row in rows
    }


def make_flow(run: Run, options: Options) -> str:
    """End-point errors: `flow:` of run.yml has a label and a file of figures each."""
    columns = {'flow/epe': 'all', 'flow/epe_0-10': '0-10 px'}
    columns |= {'flow/epe_10-40': '10-40 px', 'flow/epe_40+': 'above'}
    rows = []
    for label, file in run.info['flow'].items():
        figures = run.json(file)
        values = [figures.get(name) for name in columns]
        known = [value is not None and value == value for value in values]  # nan
        cells = [f'{v:.2f}' if k else '-' for v, k in zip(values, known, strict=True)]
        rows.append([label, *cells])
    return to_markdown(['', *columns.values()], rows)


def make_benchmark(run: Run, options: Options) -> str:
    """Print `file=`, JSON of tools/analysis/benchmark.py, as the tool does."""
    return fence(format_summary(run.json(options['file'])))


def make_complexity(run: Run, options: Options) -> str:
    """Print `file=`, JSON of tools/analysis/complexity.py CONFIG, as the tool does."""
    figures = run.json(options['file']).items()
    return fence('\n'.join(format_model(name, found) for name, found in figures))


def make_table2(run: Run, options: Options) -> str:
    """Table 2 of the paper from `file=`, JSON of tools/analysis/complexity.py."""
    networks = run.json(options['file'])['flow_networks']
    rows, depths = [], []
    for name, network in networks.items():
        row = [
            name,
            f'{network["parameters"] / 1e6:.2f}',
            f'{network["macs"] / 1e9:.3f}',
        ]
        depths = list(network['by_depth'])
        for depth in depths:
            found = network['by_depth'][depth]
            row += [f'{found["inverse_ratio"]:.2f}', f'{found["paper"]:.2f}']
        rows.append(row)
    head = ['F + S', 'M parameters', 'Gmac']
    for depth in depths:
        head += [f'1/r, R-{depth}', f'paper, R-{depth}']
    return to_markdown(head, rows)


def make_csv(run: Run, options: Options) -> str:
    """Pick of a CSV file, `file=`.

    Options: `columns=A,B`; `heads=`, what to call them; `label=A,B`, columns that make
    up the label of a row; `where=A:1;5`, rows to show; `digits=2` of all decimals.
    """
    head, *rows = run.csv(options['file'])
    labels = names_in(options.get('label')) or head[:1]
    columns = names_in(options.get('columns')) or [c for c in head if c not in labels]
    heads = names_in(options.get('heads')) or columns
    if len(heads) != len(columns):
        raise ValueError(f'heads must be one for each of {columns}, got {heads}')
    column, _, values = options.get('where', '').partition(':')
    check_known([*labels, *columns, *names_in(column)], head, 'columns')
    found = [dict(zip(head, row, strict=True)) for row in rows]
    if column:
        found = [row for row in found if row[column] in values.split(';')]
    digits = int(options['digits']) if 'digits' in options else None
    lines = [
        [', '.join(row[n] for n in labels), *(_round(row[n], digits) for n in columns)]
        for row in found
    ]
    return to_markdown([', '.join(labels), *heads], lines)


def _round(cell: str, digits: int | None) -> str:
    """Cut a decimal; words and whole numbers stay, nothing becomes a dash."""
    if digits is None or not re.fullmatch(r'-?\d*\.\d+(e-?\d+)?', cell):
        return cell or '-'
    return f'{float(cell):.{digits}f}'


def make_json(run: Run, options: Options) -> str:
    """Figures by name, or a list of rows, in `file=` at `path=a.b`; `digits=3`."""
    found = run.json(options['file'])
    for key in names_in(options.get('path', '').replace('.', ',')):
        found = found[key]
    if isinstance(found, list):
        return to_markdown(found[0], found[1:])
    digits = int(options.get('digits', 3))
    numbers = {k: v for k, v in found.items() if isinstance(v, int | float | str)}
    cells = {
        key: f'{value:.{digits}f}' if isinstance(value, float) else str(value)
        for key, value in numbers.items()
    }
    return to_markdown(['', 'value'], list(map(list, cells.items())))


def make_training_steps(run: Run, options: Options) -> str:
    """Files of tools/analysis/benchmark_training.py: `steps:` of run.yml, in order."""
    return tabulate_steps([run.json(file) for file in run.info['steps']])


def make_speed_parts(run: Run, options: Options) -> str:
    """Parts of tools/study/tradeoff.py: `speeds:` of run.yml, a file a row."""
    files = run.info['speeds'].items()
    return tabulate_parts({row: run.json(file) for row, file in files})


def make_printed(run: Run, options: Options) -> str:
    """What a run printed, `file=`, as it is; .md is a table, .txt is fenced."""
    path = run.path(options['file'])
    text = path.read_text(encoding='utf-8').strip('\n')
    return text if path.suffix == '.md' else fence(text)


def fence(text: str) -> str:
    """Show a text as it is."""
    return f'```\n{text}\n```'


KINDS: dict[str, tuple[Callable[[Run, Options], str], tuple[str, ...]]] = {
    'variants': (make_variants, ('figure', 'rows', 'offsets', 'test')),
    'summary': (make_variants_summary, ('figure', 'test')),
    'classes': (make_classes, ('offset', 'rows', 'test')),
    'report': (make_report, ('title', 'number')),
    'offsets': (make_offsets, ('curves', 'figure')),
    'won_back': (make_won_back, ('curves', 'figure', 'copied', 'offsets', 'interval')),
    'flow': (make_flow, ()),
    'benchmark': (make_benchmark, ('file',)),
    'complexity': (make_complexity, ('file',)),
    'table2': (make_table2, ('file',)),
    'csv': (make_csv, ('file', 'columns', 'heads', 'label', 'where', 'digits')),
    'json': (make_json, ('file', 'path', 'digits')),
    'training_steps': (make_training_steps, ()),
    'speed_parts': (make_speed_parts, ()),
    'printed': (make_printed, ('file',)),
}
