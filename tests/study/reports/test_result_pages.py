"""Pages filled from runs: a small repository made here, and this one."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from dff_study.reports.result_pages import ResultPages, ResultsError
from dff_study.reports.result_runs import find_cell, parse_tables

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / 'tools/study/build_results.py'
INFO = dict(data='twelve frames', seeds=[0, 1], machine='one thread', date='2026-01-02')


def add_run(root, name, *, files=(), **info):
    folder = root / 'docs/runs' / name
    folder.mkdir(parents=True, exist_ok=True)
    info = {**INFO, 'commands': ['python run.py --out x'], **info}
    (folder / 'run.yml').write_text(yaml.safe_dump(info, sort_keys=False))
    for path, content in dict(files).items():
        (folder / path).parent.mkdir(exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / path).write_text(text)


@pytest.fixture
def root(tmp_path):
    """A repository with one page and one run of two variants and two seeds."""
    (tmp_path / 'plan.yaml').write_text(
        yaml.safe_dump(
            dict(
                figure='mIoU',
                variants={'copy all': {}, 'DFF, long': {}, 'not run yet': {}},
                tables=dict(copied='copy all', offsets=[1], interval=2),
            ),
            sort_keys=False,
        )
    )
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


def fill(root, text):
    (root / 'README.md').write_text(text)
    ResultPages(root).build()
    return (root / 'README.md').read_text()


def block(what, body=''):
    return f'<!-- results: {what} -->\n{body}<!-- end -->\n'


def value(what, body=''):
    return f'so <!-- value: {what} -->{body}<!-- /value -->.\n'


def test_a_block_is_the_table_and_how_it_was_made(root):
    page = fill(root, 'Before.\n\n' + block('small variants', 'old\n') + 'After.\n')
    assert page == (
        'Before.\n\n<!-- results: small variants -->\n'
        '|  | seeds | 0 | 1 |\n'
        '| --- | --- | --- | --- |\n'
        '| copy all | 2 | 62.0 ± 2.0 | 22.0 ± 2.0 |\n'
        '| DFF, long | 2 | 61.0 ± 2.0 | 47.0 ± 7.0 |\n\n'
        '*Data:* twelve frames. *Seeds:* 0, 1. *Machine:* one thread, 2026-01-02. '
        '*Command:*\n`python run.py --out x`\n<!-- end -->\nAfter.\n'
    )
    assert ResultPages(root).build(is_check=True) == []


def test_a_value_is_a_cell(root):
    what = 'small variants "DFF, long" 1'
    assert fill(root, value(what)) == value(what, '47.0 ± 7.0')
    what = 'small summary "DFF, long" "won back" part=mean'
    # (40 - 20) / (60 - 20) = 50 %, (54 - 24) / (64 - 24) = 75 %
    assert fill(root, value(what)) == value(what, '62.5')
    what = 'small classes offset=1 "DFF, long" car'
    assert fill(root, value(what)) == value(what, '23.5')
    what = 'small variants "rows=DFF, long" offsets=1 "DFF, long" 0'
    with pytest.raises(ResultsError, match='must name one cell'):
        fill(root, value(what))


def test_check_names_what_differs_and_writes_nothing(root, monkeypatch, capsys):
    page = fill(root, block('small variants') + value('small variants "copy all" 0'))
    changed = page.replace('61.0', '71.0').replace('62.0 ± 2.0<', '62.1 ± 2.0<')
    (root / 'README.md').write_text(changed)
    spec = importlib.util.spec_from_file_location('build_results', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, 'ROOT', root)
    monkeypatch.setattr(sys, 'argv', ['build_results.py', '--check'])
    with pytest.raises(SystemExit, match='build_results'):
        tool.main()
    told = capsys.readouterr().out
    assert 'differs: README.md: <!-- results: small variants -->' in told
    assert 'differs: README.md: <!-- value: small variants "copy all" 0 -->' in told
    assert (root / 'README.md').read_text() == changed
    monkeypatch.setattr(sys, 'argv', ['build_results.py'])
    tool.main()
    assert (root / 'README.md').read_text() == page


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (block('absent variants'), "no run 'absent'"),
        (block('small pie'), r"kind of a block must be of .*'variants'"),
        (block('small variants hue=3'), r'options of variants must be of .*hue'),
        (block('small variants figure=AP'), r"figure must be of \['mIoU', 'IoU.car'\]"),
        (block('small variants rows=nobody'), 'rows must be of'),
        ('<!-- results: small variants -->\n', 'a mark is not closed'),
        (
            '<!-- results: small variants -->\n' + block('small summary'),
            'no <!-- end --> after <!-- results: small variants -->',
        ),
        (value('small variants "copy all" 3'), 'must name one cell'),
        (value('small variants 0'), 'RUN KIND'),
        (value('small variants "copy all" 0')[3:], 'must not begin a line'),
    ],
)
def test_a_mark_that_cannot_be_filled_is_named(root, text, message):
    with pytest.raises(ResultsError, match=message) as caught:
        fill(root, text)
    assert 'README.md' in str(caught.value)
    assert (root / 'README.md').read_text() == text


def test_a_run_says_how_it_was_made(root):
    add_run(root, 'poor', machine='')
    with pytest.raises(ResultsError, match=r"\['machine'\] is missing"):
        fill(root, block('poor json file=a.json'))
    add_run(root, 'other', plan='plan.yaml', seeds=[0, 1, 2])
    (root / 'docs/runs/other/figures').symlink_to(root / 'docs/runs/small/figures')
    with pytest.raises(ResultsError, match=r'seeds of .*figures, \[0, 1\], got'):
        fill(root, block('other variants'))


def test_a_report_is_what_the_tool_prints():
    """Of this repository: the job needs configs."""
    pages = ResultPages(ROOT)
    page = ROOT / 'README.md'
    first = pages.block('camvid report number=1', page)
    rows = [line for line in first.splitlines() if line.startswith('| ')]
    variants = pages.block('camvid variants', page).splitlines()
    assert rows == [line for line in variants if line.startswith('| ')]
    summary = pages.block('camvid report "title=Against Frame"', page)
    assert find_cell(summary, 'DFF', 'won back') == pages.value(
        'camvid summary DFF "won back"'
    )
    with pytest.raises(ValueError, match='must pick one of .*Against Frame'):
        pages.block('camvid report title=Nothing', page)


def test_test_sets_and_factor_of_a_plan(root):
    plan = dict(figure='AP', factor=100, variants={'DFF': {}}, tests={'the park': {}})
    (root / 'ap.yaml').write_text(yaml.safe_dump(plan))
    files = {
        f'figures/the_park/DFF_seed{s}.json': dict(offsets={0: {'AP': ap}})
        for s, ap in enumerate((0.5, 0.6))
    }
    (root / 'docs/runs/ap/figures').mkdir(parents=True)
    add_run(root, 'ap', plan='ap.yaml', files=files)
    what = 'ap variants "test=the park" DFF 0'
    assert fill(root, value(what)) == value(what, '55.0 ± 5.0')


def test_commands_of_a_run_may_have_names(root):
    add_run(root, 'two', commands={'a': 'run a', 'b': 'run b'}, files={'x.md': '| k |'})
    page = fill(root, block('two printed file=x.md command=b'))
    told = ' '.join(page.split())
    assert '`run b`' in told and 'run a' not in told
    page = fill(root, block('two printed file=x.md'))
    assert '`run a`, `run b`' in ' '.join(page.split())
    with pytest.raises(ResultsError, match=r"command must be of \['a', 'b'\]"):
        fill(root, block('two printed file=x.md command=c'))


def test_other_kinds_of_files(root):
    curves = {
        name: dict(offsets={o: {'AP': v} for o, v in enumerate(values)})
        for name, values in dict(copy=(0.8, 0.4), dff=(0.8, 0.7)).items()
    }
    log = '{"flow/epe": 1.0}\n{"flow/epe": 2.345, "flow/epe_40+": NaN}\n'
    files = {f'{name}.json': content for name, content in curves.items()}
    files |= {'log.json': log, 't.csv': 'l,ms,mAP\n1,9.5,70.1\n2,5.1,69.0\n'}
    files['deep.json'] = dict(a=dict(b=dict(x=1.23456, y=7, name='R-50', z=[1])))
    add_run(
        root,
        'mixed',
        files=files,
        curves=dict(all=dict(copy='copy.json', DFF='dff.json')),
        flow=dict(net='log.json'),
    )

    def table(what):
        return parse_tables(fill(root, block(f'mixed {what}')))[0]

    assert table('offsets')[2] == [
        *('DFF', '0.800', '0.700'),
        *('0.800', '0.700', '0.750'),
    ]
    won = 'won_back curves=all copied=copy offsets=1 interval=2'
    assert table(won)[2] == ['DFF', '0.0', '70.0', '75.0', '93.8']
    assert table('flow')[1] == ['net', '2.35', '-', '-', '-']
    assert table('csv file=t.csv columns=mAP') == [
        ['l', 'mAP'],
        ['1', '70.1'],
        ['2', '69.0'],
    ]
    pick = 'columns=ms heads=milliseconds label=mAP,l where=l:2;3 digits=0'
    assert table(f'csv file=t.csv {pick}') == [
        ['mAP, l', 'milliseconds'],
        ['69.0, 2', '5'],
    ]
    found = table('json file=deep.json path=a.b digits=2')
    assert found[1:] == [['x', '1.23'], ['y', '7'], ['name', 'R-50']]


def test_composed_tables_take_values_of_several_runs(root):
    add_run(root, 'printed', data='nothing', files={'p.txt': '| a | b |\n| x | 3 |\n'})
    table = dict(
        head=['', 'one', 'both'],
        rows=[
            [
                'row',
                '{printed printed file=p.txt x b}',
                '{small variants "copy all" 0 part=mean} of '
                '{printed printed file=p.txt x b}',
            ]
        ],
    )
    (root / 'docs/runs/composed.yml').write_text(yaml.safe_dump(dict(mine=table)))
    page = fill(root, block('composed mine'))
    assert '| row | 3 | 62.0 of 3 |' in page
    assert '[printed](docs/runs/printed): *Data:* nothing. *Seeds:* 0, 1.' in page
    assert '(docs/runs/small/run.yml)' in page.replace('\n', ' ')


def test_tables_of_terminals_are_read():
    text = """
+Parts--+----+
| part  | ms |
+-------+----+
| F + S | 3  |
| W     | 4  |
+-------+----+
+Whole--+----+
| frame | ms |
+-------+----+
| W     | 5  |
+-------+----+
"""
    assert parse_tables(text) == [
        [['part', 'ms'], ['F + S', '3'], ['W', '4']],
        [['frame', 'ms'], ['W', '5']],
    ]
    assert find_cell(text, 'F + S', 'ms') == '3'
    assert find_cell(text, 'W', 'ms', nth=2) == '5'
    with pytest.raises(ValueError, match=r"one cell .*\['4', '5'\]"):
        find_cell(text, 'W', 'ms')


def test_the_documentation_is_what_the_runs_say():
    stale = ResultPages(ROOT).build(is_check=True)
    assert [str(mark) for mark in stale] == [], 'python tools/study/build_results.py'


def test_no_figure_is_typed_by_hand():
    """Outside of marks, links and code no number has a decimal point or is a share."""
    text = (ROOT / 'docs/results.md').read_text(encoding='utf-8')
    for pattern in (
        r'<!-- results: .*?<!-- end -->',
        r'<!-- value: .*?<!-- /value -->( %)?',
        r'```.*?```',
        r'`[^`]*`',
        r'\(Sec\. \d\.\d\)|IoU 0\.5|\]\([^)]*\)',
    ):
        text = re.sub(pattern, '', text, flags=re.DOTALL)
    assert re.findall(r'.*(?:\d\.\d|\d ?%).*', text) == []
