import importlib.util
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from processes import run

from dff_study.quickstart.configs import FULL, SMOKE, TASKS
from dff_study.quickstart.job import VIDEOS, QuickStart

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools/study/quickstart.py'


def load_script():
    spec = importlib.util.spec_from_file_location('quickstart_tool', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(
    scope='module',
    params=[pytest.param(('det', 'seg'), marks=pytest.mark.slow)],
    ids=','.join,
)
def finished(request, tmp_path_factory):
    """Run the job with two iterations per training, in a path with a space.

    Returns its tasks, its folder and what it printed.
    """
    out = tmp_path_factory.mktemp('quick start') / 'out put'
    tasks = ','.join(request.param)
    command = [sys.executable, SCRIPT, '--smoke', '--tasks', tasks, '--out', out]
    code, shown = run(command, seconds=600)
    assert code == 0, shown[-6000:]
    return request.param, out, shown


def test_the_job_writes_all_it_names(finished):
    tasks, out, shown = finished
    names = [VIDEOS[task] for task in tasks]
    for name in (*names, 'flow.jpg', 'offsets.png', 'results.md', 'results.json'):
        assert (out / name).stat().st_size > 0
        assert f'  {out / name}  ' in shown
    videos, frames = SMOKE.test
    for name in names:
        capture = cv2.VideoCapture(str(out / name))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == videos * frames
    assert {path.name for path in out.glob('*.mp4')} == set(names)
    assert (out / 'results.md').read_text() in shown
    assert 'docs/own_data.md' in shown
    assert 'these figures mean nothing' in shown


@pytest.fixture
def results(finished):
    """Return the figures of each task."""
    tasks, out, _ = finished
    read = json.loads((out / 'results.json').read_text())
    return [read[TASKS[task].title] for task in tasks]


def test_figures_of_all_tasks_are_written(results):
    for task in results:
        assert set(task['streams']) == set(task['offsets'])
        assert all(0 <= value <= 1 for value in task['streams'].values())
        for curve in task['offsets'].values():
            assert list(curve) == [str(o) for o in range(SMOKE.interval)]
        for speed in task['speeds'].values():
            ms = speed['milliseconds']
            assert ms['frame'] > 0 and ms['propagated'] > 0


def test_frame_and_key_frames_agree(results):
    """At offset 0 the untrained wrappers are Frame itself."""
    for task in results:
        first = {label: curve['0'] for label, curve in task['offsets'].items()}
        assert first['Frame'] == first['key features copied'] == first['DFF, DIS flow']


def test_dff_starts_from_frame_and_from_the_flow(finished):
    tasks, out, _ = finished
    for task in tasks:
        log = (out / f'logs/train_{task}_dff.log').read_text()
        assert f'load flow_estimator. in model from: {out}/flow/iter_2.pth' in log
        assert f'Load checkpoint from {out}/{task}_frame/iter_2.pth' in log
        wrapped = TASKS[task].wrapped
        match = re.search(rf'(\d+) of (\d+) keys of {wrapped} are filled', log)
        assert match and match.group(1) == match.group(2) != '0'


def test_a_second_start_does_nothing_again(finished, capsys):
    tasks, out, _ = finished
    video = out / VIDEOS[tasks[-1]]
    before = video.stat().st_mtime_ns
    tool = load_script()
    tool.main(
        tool.parse_args(['--smoke', '--tasks', ','.join(tasks), '--out', str(out)])
    )
    shown = capsys.readouterr().out
    count = len(QuickStart(ROOT, out, replace(SMOKE, tasks=tasks)).steps())
    assert shown.count(': done before') == shown.count(f'/{count}] ') == count
    assert video.stat().st_mtime_ns == before


def test_a_failing_step_stops_the_job_and_names_its_log(finished, tmp_path):
    tasks, source, _ = finished
    out = tmp_path / 'out'
    shutil.copytree(source, out)
    (out / 'logs/train_det_frame.done').unlink()
    (out / 'data/annotations/train.json').write_text('{')
    tool = load_script()
    options = ['--smoke', '--tasks', ','.join(tasks), '--out', str(out)]
    with pytest.raises(SystemExit, match='exit code 1; log: .*det_frame.log'):
        tool.main(tool.parse_args(options))


def test_other_settings_in_the_folder_are_refused(finished, tmp_path):
    tasks, source, _ = finished
    out = tmp_path / 'out'
    shutil.copytree(source, out)
    tool = load_script()
    with pytest.raises(SystemExit, match='holds a run with other settings.*size'):
        tool.main(tool.parse_args(['--tasks', ','.join(tasks), '--out', str(out)]))


def test_segmentation_alone_trains_the_frame_it_starts_from(tmp_path):
    job = QuickStart(ROOT, tmp_path, replace(SMOKE, tasks=('seg',)))
    names = [step.name for step in job.steps()]
    assert 'train_det_frame' in names
    assert not [name for name in names if 'det' in name and name != 'train_det_frame']
    with pytest.raises(SystemExit):
        load_script().parse_args(['--tasks', 'det,boxes'])


@pytest.mark.parametrize(
    'name, wrapped, shipped',
    [
        ('det_dff', 'detector', 'dff_rfcn_r18_synthetic'),
        ('seg_dff', 'segmentor', 'dff_fcn_r18_synthetic'),
    ],
)
def test_configs_are_the_shipped_ones(tmp_path, name, wrapped, shipped):
    """What is trained is what `configs/` says, data and places aside."""
    configs = QuickStart(ROOT, tmp_path, FULL).configs
    configs.write()
    ours = Config.fromfile(configs.path(name))
    theirs = Config.fromfile(ROOT / f'configs/mini/{shipped}.py')
    if name == 'seg_dff':
        start = theirs.model.segmentor.backbone.init_cfg
        start.checkpoint = str(configs.weights('det_frame'))
    assert ours.model[wrapped] == theirs.model[wrapped]
    assert ours.train_cfg == theirs.train_cfg
    assert ours.optim_wrapper == theirs.optim_wrapper
    frame = name.replace('dff', 'frame')
    assert ours.load_from == str(configs.weights(frame))
    for loader in ('train_dataloader', 'test_dataloader'):
        theirs[loader].dataset.dataset.data_root = f'{tmp_path}/data/'
        assert ours[loader] == theirs[loader]
