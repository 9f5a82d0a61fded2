"""The job over variants and seeds, with tools that only note what they are told."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from dff_study.jobs.steps import StepError
from dff_study.jobs.variants import VariantJob
from dff_study.reports.runs import read_rows

TOOL = """
import json, pathlib, sys
args = sys.argv[1:]
with open({log!r}, 'a') as log:
    log.write(json.dumps(['{name}', *args]) + '\\n')
if '{name}' == 'train':
    folder = pathlib.Path(args[args.index('--work-dir') + 1])
    folder.mkdir(parents=True, exist_ok=True)
    last = next((a for a in args if 'max_iters' in a), '=7').rpartition('=')[2]
    (folder / f'iter_{{last}}.pth').write_text('weights')
else:
    out = pathlib.Path(args[args.index('--offsets-out') + 1])
    out.parent.mkdir(parents=True, exist_ok=True)
    value = 50.0 + len(out.name) + int(out.stem[-1])
    rows = {{o: {{'mIoU': value - int(o), 'IoU.car': 7.0}} for o in '01'}}
    out.write_text(json.dumps(dict(offsets=rows)))
"""
PLAN = dict(
    figure='mIoU',
    seeds=[0, 1],
    offsets=[0, 1],
    trainings=dict(
        flow=dict(config='flow.py', is_shared=True),
        frame=dict(config='frame.py'),
        dff=dict(config='dff.py', load_from='frame', flow='flow'),
    ),
    variants={
        'copy': dict(config='copy.py', weights='frame'),
        'DFF': dict(config='dff.py', weights='dff'),
    },
)


@pytest.fixture
def root(tmp_path):
    for folder in ('tools', 'configs'):
        (tmp_path / folder).mkdir()
    for name in ('train', 'test'):
        text = TOOL.format(log=str(tmp_path / 'calls'), name=name)
        (tmp_path / f'tools/{name}.py').write_text(text)
    for name in ('flow', 'frame', 'dff', 'copy'):
        (tmp_path / f'configs/{name}.py').write_text('train_cfg = dict(max_iters=7)')
    Config(PLAN).dump(tmp_path / 'plan.py')
    return tmp_path


def calls(root):
    lines = (root / 'calls').read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_each_training_once_from_the_right_weights(root):
    out = root / 'out'
    figures = VariantJob(root, root / 'plan.py', out).run()['']
    done = calls(root)
    trained = [Path(c[1]).stem for c in done if c[0] == 'train']
    assert sorted(trained[:2]) == ['flow', 'frame']
    assert trained[2:] == ['dff', 'frame', 'dff']
    last = [c for c in done if c[0] == 'train'][-1]
    assert 'randomness.seed=1' in last
    assert f'load_from={out}/seed1/frame/iter_7.pth' in last
    key = 'model.propagation.flow_estimator.init_cfg.checkpoint'
    assert f'{key}={out}/shared/flow/iter_7.pth' in last
    tested = {(Path(c[1]).stem, c[2]) for c in done if c[0] == 'test'}
    assert tested == {
        (config, f'{out}/seed{seed}/{weights}/iter_7.pth')
        for config, weights in (('copy', 'frame'), ('dff', 'dff'))
        for seed in (0, 1)
    }
    assert done[-1][done[-1].index('--offsets') + 1] == '0,1'
    name = len('DFF_seed0.json')
    assert figures['DFF'] == {
        0: {0: 50.0 + name, 1: 49.0 + name},
        1: {0: 51.0 + name, 1: 50.0 + name},
    }
    assert (out / 'table.md').read_text().count('\n') == 6


def test_seeds_in_two_starts_share_what_is_shared(root):
    out = root / 'out'
    for seed in (1, 0):
        VariantJob(root, root / 'plan.py', out, seeds=[seed]).run()
    flows = [c for c in calls(root) if Path(c[1]).stem == 'flow']
    assert len(flows) == 1
    assert 'randomness.seed=0' in flows[0]


def test_a_second_start_repeats_nothing(root):
    out = root / 'out'
    VariantJob(root, root / 'plan.py', out, seeds=[0]).run()
    before = calls(root)
    (out / 'figures/DFF_seed0.json').unlink()
    VariantJob(root, root / 'plan.py', out, seeds=[0]).run()
    assert [c[:2] for c in calls(root)[len(before) :]] == [
        ['test', str(root / 'configs/dff.py')]
    ]


def test_what_was_trained_elsewhere_is_taken(root):
    out = root / 'out'
    for name in ('shared/flow', 'seed0/dff'):
        (out / name).mkdir(parents=True)
        (out / name / 'iter_7.pth').write_text('trained on eight GPUs')
    VariantJob(root, root / 'plan.py', out, seeds=[0]).run()
    trained = [Path(c[1]).stem for c in calls(root) if c[0] == 'train']
    assert trained == ['frame']
    assert (out / 'seed0/dff/iter_7.pth').read_text() == 'trained on eight GPUs'


def test_an_image_model_whose_results_are_copied(root):
    plan = Config.fromfile(root / 'plan.py')
    plan.variants = dict(A=dict(config='frame.py', weights='frame', is_copied=True))
    plan.dump(root / 'plan.py')
    job = VariantJob(root, root / 'plan.py', root / 'out', seeds=[1])
    with pytest.raises(StepError, match='is not in list'):
        job.run()  # the tool of these tests knows nothing else
    assert calls(root)[-1][-3:] == [
        '--cfg-options',
        'test_evaluator.offsets=[0,1]',
        f'test_evaluator.out_file={root / "out/figures/A_seed1.json"}',
    ]


def test_unknown_trainings_are_named(root):
    plan = Config.fromfile(root / 'plan.py')
    plan.variants.DFF.weights = 'nothing'
    plan.dump(root / 'plan.py')
    with pytest.raises(ValueError, match=r'nothing \(of DFF\)'):
        VariantJob(root, root / 'plan.py', root / 'out')
    plan.variants.DFF.weights = 'dff'
    plan.trainings.frame.load_from = 'dff'
    plan.dump(root / 'plan.py')
    with pytest.raises(ValueError, match="'dff', 'frame'.* start from each other"):
        VariantJob(root, root / 'plan.py', root / 'out')


def test_report_of_a_job(root):
    plan = Config.fromfile(root / 'plan.py')
    plan.tables = dict(copied='copy', offsets=[1], interval=2, class_offsets=[1])
    plan.dump(root / 'plan.py')
    job = VariantJob(root, root / 'plan.py', root / 'out')
    job.run()
    # the tools' figures: 50 + length of the file's name + seed - offset
    copy, dff = (50 + len(f'{name}_seed0.json') + 0.5 for name in ('copy', 'DFF'))
    rows = read_rows((root / 'out/table.md').read_text())
    assert ['copy', '2', f'{copy:.1f} ± 0.5', f'{copy - 1:.1f} ± 0.5'] in rows
    # DFF's name is one shorter: 1 less than Frame at 0, 1 below copying at 1
    share = 100 * (copy - 0.5) / copy
    against = {row[0]: row[1:] for row in rows if len(row) == 5}
    assert against['copy'][:3] == ['0.0 ± 0.0', f'{copy - 1:.1f} ± 0.5', '0.0 ± 0.0']
    assert against['copy'][3].startswith(f'{share:.1f}')
    assert against['DFF'][:3] == ['-1.0 ± 0.0', f'{dff - 1:.1f} ± 0.5', '-100.0 ± 0.0']
    assert rows[-3:] == [['', 'car'], ['DFF', '7.0'], ['copy', '7.0']]


def test_test_sets_options_and_factor(root):
    plan = Config.fromfile(root / 'plan.py')
    plan.factor = 100
    plan.tests = {'A set': {'ann_file': 'a.json'}, 'B': {}}
    plan.trainings.frame.options = {'train_cfg.max_iters': 3}
    plan.variants['copy']['options'] = {'scale': [1, 2]}
    plan.tables = dict(copied='copy', offsets=[1], interval=2, paper=dict(Frame=7.0))
    plan.dump(root / 'plan.py')
    out = root / 'out'
    figures = VariantJob(root, root / 'plan.py', out, seeds=[0]).run()
    tests = [c for c in calls(root) if c[0] == 'test']
    assert [c[c.index('--offsets-out') + 1] for c in tests] == [
        f'{out}/figures/{name}/{row}_seed0.json'
        for row in ('DFF', 'copy')
        for name in ('A_set', 'B')
    ]
    first, second, third, fourth = (
        c[c.index('--cfg-options') + 1 :] if '--cfg-options' in c else [] for c in tests
    )
    assert (first, second) == (['ann_file=a.json'], [])
    assert (third, fourth) == (['scale=[1,2]', 'ann_file=a.json'], ['scale=[1,2]'])
    assert tests[2][2] == f'{out}/seed0/frame/iter_3.pth'
    dff = next(c for c in calls(root) if c[:2] == ['train', f'{root}/configs/dff.py'])
    assert f'load_from={out}/seed0/frame/iter_3.pth' in dff
    value = 100 * (50 + len('copy_seed0.json'))
    assert figures['B']['copy'] == {0: {0: value, 1: value - 100}}
    report = (out / 'table.md').read_text()
    assert report.startswith('A set: mIoU x 100, mean')
    assert '\n\nB: mIoU x 100, mean' in report
    row = ['Frame', '1', f'{value:.1f} ± 0.0', '-', '-', '7.0', '0.0']
    assert row in read_rows(report)
