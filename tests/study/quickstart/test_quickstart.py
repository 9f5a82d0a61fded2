import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from processes import run

from dff_study.quickstart.configs import FULL, SMOKE, TASKS
from dff_study.quickstart.job import QuickStart

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / 'tools/study/quickstart.py'


def load_script():
    spec = importlib.util.spec_from_file_location('quickstart_tool', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Run the whole job with two iterations a training, into a path with a space."""
    out = tmp_path_factory.mktemp('quick start') / 'out put'
    command = [sys.executable, str(SCRIPT), '--smoke', '--out', str(out)]
    code, shown = run(command, seconds=600)
    assert code == 0, shown[-6000:]
    return out, shown


VIDEOS = ('boxes.mp4', 'labels.mp4')


def test_the_job_leaves_all_it_names(finished):
    out, shown = finished
    for name in (*VIDEOS, 'flow.jpg', 'offsets.png', 'results.md', 'results.json'):
        assert (out / name).stat().st_size > 0
        assert f'  {out / name}  ' in shown
    videos, frames = SMOKE.test
    for name in VIDEOS:
        capture = cv2.VideoCapture(str(out / name))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == videos * frames
    assert (out / 'results.md').read_text() in shown
    assert 'docs/own_data.md' in shown
    assert 'these figures mean nothing' in shown


@pytest.fixture(params=[task.title for task in TASKS.values()])
def kept(request, finished):
    """Give the figures of one task."""
    return json.loads((finished[0] / 'results.json').read_text())[request.param]


def test_figures_of_both_tasks_are_kept(kept):
    assert set(kept['streams']) == set(kept['offsets'])
    assert all(0 <= value <= 1 for value in kept['streams'].values())
    for curve in kept['offsets'].values():
        assert list(curve) == [str(o) for o in range(SMOKE.interval)]
    for speed in kept['speeds'].values():
        ms = speed['milliseconds']
        assert ms['frame'] > 0 and ms['propagated'] > 0


def test_frame_and_key_frames_agree(kept):
    """At offset 0 the untrained wrappers are Frame itself."""
    first = {label: curve['0'] for label, curve in kept['offsets'].items()}
    assert first['Frame'] == first['key features copied'] == first['DFF, DIS flow']


@pytest.mark.parametrize('task, wrapped', [('det', 'detector'), ('seg', 'segmentor')])
def test_dff_starts_from_frame_and_from_the_flow(finished, task, wrapped):
    out, _ = finished
    log = (out / f'logs/train_{task}_dff.log').read_text()
    assert f'load flow_estimator. in model from: {out}/flow/iter_2.pth' in log
    assert f'Load checkpoint from {out}/{task}_frame/iter_2.pth' in log
    found = re.search(rf'(\d+) of (\d+) keys of {wrapped} are filled', log)
    assert found and found.group(1) == found.group(2) != '0'


def test_a_second_start_does_nothing_again(finished, capsys):
    out, _ = finished
    before = (out / 'labels.mp4').stat().st_mtime_ns
    tool = load_script()
    tool.main(tool.parse_args(['--smoke', '--out', str(out)]))
    shown = capsys.readouterr().out
    assert shown.count(': done before') == shown.count('/25] ') == 25
    assert (out / 'labels.mp4').stat().st_mtime_ns == before


def test_a_failing_step_stops_the_job_and_names_its_log(finished, tmp_path):
    out = tmp_path / 'out'
    shutil.copytree(finished[0], out)
    (out / 'logs/train_det_frame.done').unlink()
    (out / 'data/annotations/train.json').write_text('{')
    tool = load_script()
    with pytest.raises(SystemExit, match='exit code 1; log: .*det_frame.log'):
        tool.main(tool.parse_args(['--smoke', '--out', str(out)]))


def test_other_settings_in_the_folder_are_refused(tmp_path):
    QuickStart(ROOT, tmp_path, SMOKE)._claim()
    with pytest.raises(ValueError, match='holds a run with other settings'):
        QuickStart(ROOT, tmp_path, FULL)._claim()
    QuickStart(ROOT, tmp_path, SMOKE)._claim()


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
