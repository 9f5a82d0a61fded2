"""Generated pages: a small repository made here, and this one."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import jinja2
import pytest
import yaml

from dff_study.reports.pages import update_pages
from dff_study.reports.result_tables import ResultTables
from dff_study.reports.runs import Run, read_rows

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / 'tools/study/build_results.py'
INFO = dict(data='twelve frames', seeds=[0, 1], machine='one thread', date='2026-01-02')


def add_run(root, name, *, files=(), **info):
    folder = root / 'docs/runs' / name
    folder.mkdir(parents=True, exist_ok=True)
    info = {**INFO, 'commands': ['python run.py --out x'], **info}
    (folder / 'run.yml').write_text(yaml.safe_dump(info, sort_keys=False))
    for path, content in dict(files).items():
        (folder / path).parent.mkdir(exist_ok=True, parents=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / path).write_text(text)


@pytest.fixture
def root(tmp_path):
    """A repository with one run of two variants and two seeds."""
    plan = dict(
        figure='mIoU',
        seeds=[0, 1],
        offsets=[0, 1],
        trainings=dict(any=dict(config='x.py')),
        variants={
            name: dict(config='x.py', weights='any')
            for name in ('copy all', 'DFF, long', 'not run yet')
        },
        tables=dict(
            copied='copy all',
            offsets=[1],
            interval=2,
            class_offsets=[1],
            paper={'Frame': 71.1, 'DFF, long': 69.2},
        ),
    )
    (tmp_path / 'plan.yaml').write_text(yaml.safe_dump(plan, sort_keys=False))
    files = {}
    for row, seed, values in (
        ('copy_all', 0, (60.0, 20.0)),
        ('copy_all', 1, (64.0, 24.0)),
        ('DFF,_long', 0, (59.0, 40.0)),
        ('DFF,_long', 1, (63.0, 54.0)),
    ):
        rows = {o: {'mIoU': v, 'IoU.car': v / 2} for o, v in enumerate(values)}
        files[f'figures/{row}_seed{seed}.json'] = dict(offsets=rows)
    add_run(tmp_path, 'small', plan='plan.yaml', files=files)
    return tmp_path


def fill(root, template):
    (root / 'docs/runs/results.md.jinja').write_text(template)
    update_pages(root)
    return (root / 'docs/results.md').read_text()


def cells(line):
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_a_page_shows_tables_cells_and_how_they_were_made(root):
    page = fill(
        root,
        "{% set t = tables.offsets('small') %}\n"
        "# Page\n\n{{ describe('small') }}\n\n{{ t | markdown }}\n\n"
        "{{ t.at['DFF, long', 1] }}, {{ t.at['DFF, long', 1] | mean }}\n",
    )
    lines = page.splitlines()
    assert lines[0] == '# Page'
    assert ' '.join(lines[2:4]) == (
        'Run [small](runs/small/run.yml) (commands). Data: twelve frames. Seeds: 0, 1. '
        'Machine: one thread, 2026-01-02.'
    )
    assert [cells(line) for line in lines[5:]][:4:2] == [
        ['', 'seeds', '0', '1'],
        ['copy all', '2', '62.0 ± 2.0', '22.0 ± 2.0'],
    ]
    assert cells(lines[8]) == ['DFF, long', '2', '61.0 ± 2.0', '47.0 ± 7.0']
    assert lines[-1] == '47.0 ± 7.0, 47.0'
    assert update_pages(root, is_check=True) == []


def test_tables_of_a_run_over_variants(root):
    tables = ResultTables(root)
    # (40 - 20) / (60 - 20) = 50 %, (54 - 24) / (64 - 24) = 75 %
    assert tables.summary('small').at['DFF, long', 'won back'] == '62.5 ± 12.5'
    assert tables.classes('small', 1).at['DFF, long', 'car'] == '23.5'
    # (59 + 40) / 2 = 49.5, (63 + 54) / 2 = 58.5
    paper = tables.paper('small').loc['DFF, long']
    assert [*paper[['mean', 'paper', 'paper - Frame']]] == [
        '54.0 ± 4.5',
        '69.2',
        '-1.9',
    ]
    fill(root, '')
    text = (root / 'docs/runs/small/tables.md').read_text()
    assert text.startswith('# Tables of small\n\nRun [small](../small/run.yml)')
    assert 'Table 4, l = 2' in text and 'IoU of each class at offset 1' in text
    assert text.endswith(tables.report('small') + '\n')


def test_check_names_what_differs_and_writes_nothing(root, monkeypatch, capsys):
    page = fill(root, "{{ tables.offsets('small') | markdown }}\n")
    changed = page.replace('61.0', '71.0')
    (root / 'docs/results.md').write_text(changed)
    spec = importlib.util.spec_from_file_location('build_results', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, 'ROOT', root)
    monkeypatch.setattr(sys, 'argv', ['build_results.py', '--check'])
    with pytest.raises(SystemExit, match='build_results'):
        tool.main()
    assert 'differs: docs/results.md\n' in capsys.readouterr().out
    assert (root / 'docs/results.md').read_text() == changed
    monkeypatch.setattr(sys, 'argv', ['build_results.py'])
    tool.main()
    assert (root / 'docs/results.md').read_text() == page


@pytest.mark.parametrize(
    ('template', 'error', 'message'),
    [
        ("{{ tables.offsets('absent') }}", FileNotFoundError, "no run 'absent'"),
        ("{{ tables.pie('small') }}", jinja2.UndefinedError, 'pie'),
        (
            "{{ tables.offsets('small').at['nobody', 0] }}",
            jinja2.UndefinedError,
            'nobody',
        ),
        ("{{ tables.run('small').text('a.md') }}", FileNotFoundError, 'no file a.md'),
        ('{{ unknown }}', jinja2.UndefinedError, 'unknown'),
    ],
)
def test_a_template_that_cannot_be_filled_writes_nothing(
    root, template, error, message
):
    (root / 'docs/results.md').write_text('before')
    with pytest.raises(error, match=message):
        fill(root, template)
    assert (root / 'docs/results.md').read_text() == 'before'


def test_a_run_says_how_it_was_made(root):
    add_run(root, 'poor', machine='')
    with pytest.raises(ValueError, match=r"\['machine'\] is missing"):
        Run.read(root, 'poor')
    add_run(root, 'other', plan='plan.yaml', seeds=[0, 1, 2])
    (root / 'docs/runs/other/figures').symlink_to(root / 'docs/runs/small/figures')
    with pytest.raises(ValueError, match=r'seeds of its figures, \[0, 1\], got'):
        ResultTables(root).offsets('other')


def test_test_sets_and_factor_of_a_plan(root):
    plan = yaml.safe_load((root / 'plan.yaml').read_text())
    plan |= dict(figure='AP', factor=100, tests={'the park': {}}, tables={})
    (root / 'ap.yaml').write_text(yaml.safe_dump(plan))
    files = {
        f'figures/the_park/DFF,_long_seed{s}.json': dict(offsets={0: {'AP': ap}})
        for s, ap in enumerate((0.5, 0.6))
    }
    add_run(root, 'ap', plan='ap.yaml', files=files)
    table = ResultTables(root).offsets('ap', test='the park')
    assert table.at['DFF, long', 0] == '55.0 ± 5.0'


def test_tables_of_other_files(root):
    log = '{"flow/epe": 1.0}\n{"flow/epe": 2.345, "flow/epe_40+": NaN}\n'
    add_run(root, 'flow', files={'log.json': log}, flow=dict(net='log.json'))
    tables = ResultTables(root)
    assert tables.flow().loc['net'].tolist() == ['2.35', '-', '-', '-']
    points = (
        'row,interval,accuracy,accuracy_spread,speedup,speedup_eq5\n'
        'A,1,70.126,0.5,1.0,1.0\nA,2,69.0,1.0,1.8,1.9\nB,2,,,2.5,\n'
    )
    add_run(root, 'speed', files={'tradeoff.csv': points})
    table = tables.tradeoff('speed', [2])
    assert table['l = 2'].to_dict() == {
        'A': '69.00 ± 1.00, 1.80 / 1.90',
        'B': '2.50 / -',
    }
    rows = dict(table=[['', 'Frame'], ['AP50', '0.8']])
    add_run(root, 'rows', files={'r.json': rows})
    assert tables.table_of('rows', 'r.json').at['AP50', 'Frame'] == '0.8'
    curves = (
        '| | 0 | 5 | 6 | 7 | 8 | 9 | mean |\n| --- | --- | --- | --- | --- | --- |\n'
    )
    curves += ''.join(
        f'| {name} | 0.8 | {" | ".join([value] * 5)} | x |\n'
        for name, value in (('copied', '0.4'), ('DFF', '0.7'))
    )
    offsets = ''.join(f'| {o} ' for o in range(1, 5))
    curves = curves.replace('| 0 ', f'| 0 {offsets}')
    curves = curves.replace('| 0.8 ', '| 0.8 ' + '| 0.8 ' * 4)
    add_run(root, 'printed', files={'curves.md': curves})
    table = tables.recovered('printed', 'curves.md', copied='copied')
    # ((0.7 - 0.4) / (0.8 - 0.4), (5 x 0.8 + 5 x 0.7) / 10 / 0.8
    assert table.loc['DFF'].tolist() == ['0.0', '70.0', '75.0', '93.8']


def test_tables_of_terminals_are_read():
    text = """
+Parts--+----+
| part  | ms |
+-------+----+
| F + S | 3  |
+-------+----+
"""
    assert read_rows(text) == [['part', 'ms'], ['F + S', '3']]
    assert read_rows('| a | b |\n| --- | :-: |\n| x |  |') == [['a', 'b'], ['x', '']]


def test_the_documentation_is_what_the_runs_say():
    stale = [str(path) for path in update_pages(ROOT, is_check=True)]
    assert stale == [], 'run: python tools/study/build_results.py'


def test_no_figure_is_typed_by_hand():
    """No number outside of `{{ }}`, links and code has a decimal point or a %."""
    text = (ROOT / 'docs/runs/results.md.jinja').read_text(encoding='utf-8')
    for pattern in (
        r'\{%.*?%\}',
        r'\{\{.*?\}\}( %)?',
        r'```.*?```',
        r'`[^`]*`',
        r'\(Sec\. \d\.\d\)|IoU 0\.5|\]\([^)]*\)',
    ):
        text = re.sub(pattern, '', text, flags=re.DOTALL)
    assert re.findall(r'.*(?:\d\.\d|\d ?%).*', text) == []
