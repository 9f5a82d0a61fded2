"""Accuracy against speed: what follows for every l, the job, CSV and pictures."""

import csv
import json
from math import isnan
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config

from dff_study.jobs import tradeoff
from dff_study.jobs.row_speed import (
    SpeedSettings,
    measure_speed,
    time_streams,
)
from dff_study.jobs.tradeoff import TradeoffJob
from dff_study.reports.tradeoff_plots import save_plots
from dff_study.reports.tradeoff_table import (
    average_over_offsets,
    make_points,
    tabulate_points,
)

MACS = dict(n_feat=90e9, flow=9e9, warp=0.0, n_task=10e9)


def speed(frame, key, other, *, is_flow_counted=True, rounds=None):
    """Write what a measurement in milliseconds gave."""
    rounds = rounds or [(frame, key, other)]
    return dict(
        benchmark=dict(
            milliseconds=dict(
                frame=frame,
                key=key,
                propagated=other,
                n_feat=0.9 * frame,
                flow=other / 2,
                warp=0.0,
                n_task=other / 2,
            ),
            macs=MACS,
        ),
        is_flow_counted=is_flow_counted,
        rounds=[
            dict(frame=f / 1e3, key=k / 1e3, propagated=o / 1e3) for f, k, o in rounds
        ],
        stream=dict(interval=2, rounds=[(0.2, 0.1)], speedup=2.0),
    )


def test_every_l_follows_from_key_frames_and_others():
    measured = speed(100.0, 110.0, 10.0, rounds=[(100, 110, 10), (90, 110, 10)])
    points = make_points({'A': measured}, {'A': {}}, range(1, 11))
    assert list(points.interval) == list(range(1, 11))
    last = points.iloc[-1]
    # ten frames: one of 110 ms and nine of 10 ms
    assert last.ms == pytest.approx(20.0)
    assert last.fps == pytest.approx(50.0)
    assert (last.speedup, last.speedup_max) == pytest.approx((5.0, 5.0))
    assert last.speedup_min == pytest.approx(90 / 20)
    assert points.speedup[0] == pytest.approx(100 / 110)
    # ten Frames cost 10 x 100, DFF one Frame and nine times F and N_task
    assert last.speedup_eq5 == pytest.approx(1000 / (100 + 9 * 19))
    assert last.fps_eq5 == pytest.approx(last.speedup_eq5 * 1e3 / 100)


def test_speed_ups_are_over_the_reference():
    speeds = {
        'big': speed(100.0, 100.0, 20.0),
        'small': speed(50.0, 50.0, 10.0, is_flow_counted=False),
    }
    accuracies = {'big': {2: (70.0, 1.5, 3)}, 'small': {}}
    points = make_points(speeds, accuracies, [2], reference='big')
    big, small = points.itertuples()
    assert small.speedup == pytest.approx(100 / 30)
    assert small.speedup_own == pytest.approx(50 / 30)
    assert isnan(small.speedup_eq5) and isnan(small.fps_eq5)
    assert (big.accuracy, big.accuracy_spread, big.runs) == (70.0, 1.5, 3)
    assert isnan(small.accuracy) and small.runs == 0
    table = tabulate_points(points, 'mIoU')
    rows = [[c.strip() for c in line.split('|')] for line in table.splitlines()[2:]]
    assert rows[0][1:7] == ['big', '2', '70.0 ± 1.5', '60.0', '16.67', '1.67']
    assert rows[1][1:7] == ['small', '2', '-', '30.0', '33.33', '3.33']
    with pytest.raises(ValueError, match="'other', which is not timed; .*'big'"):
        make_points(speeds, accuracies, [2], reference='other')


def test_accuracy_is_the_mean_over_offsets():
    curves = [{0: 80.0, 1: 60.0, 2: 40.0}, {0: 90.0, 1: 70.0}]
    found = average_over_offsets(curves, [1, 2, 3])
    assert found == {1: (85.0, 5.0, 2), 2: (75.0, 5.0, 2)}
    assert average_over_offsets([], [1]) == {}


def test_csv_and_pictures(tmp_path):
    speeds = {'A': speed(100.0, 100.0, 20.0), 'B': speed(60.0, 60.0, 20.0)}
    points = make_points(speeds, {'A': {1: (70.0, 1.0, 2)}, 'B': {}}, [1, 2])
    points.to_csv(tmp_path / 'points.csv', index=False)
    with (tmp_path / 'points.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert [(line['row'], line['interval']) for line in lines] == [
        ('A', '1'),
        ('A', '2'),
        ('B', '1'),
        ('B', '2'),
    ]
    assert float(lines[1]['speedup']) == pytest.approx(100 / 60)
    assert (lines[0]['accuracy'], lines[1]['accuracy']) == ('70.0', '')
    pictures = save_plots(points, tmp_path, figure='mIoU')
    assert [path.name for path in pictures] == [
        'accuracy_speedup.png',
        'accuracy_fps.png',
        'speed.png',
    ]
    assert all(cv2.imread(str(path)).std() > 1 for path in pictures)
    without = save_plots(points[points.row == 'B'], tmp_path / 'B', figure='mIoU')
    assert [path.name for path in without] == ['speed.png']


@pytest.fixture
def root(tmp_path):
    """Return a folder with a plan of two rows whose tests write given figures."""
    (tmp_path / 'configs').mkdir()
    (tmp_path / 'tools').mkdir()
    plan = dict(
        figure='mIoU',
        size=[64, 96],
        max_interval=3,
        timing=dict(interval=2, repeats=2, stream=3),
        reference='A + F',
        rows={
            'A + F': dict(config='a.py', variant='DFF'),
            'B + F': dict(config='b.py', variant='DFF no S'),
        },
    )
    Config(plan).dump(tmp_path / 'plan.py')
    (tmp_path / 'tools/test.py').write_text(
        'import json, pathlib, sys\n'
        "out = pathlib.Path(sys.argv[sys.argv.index('--offsets-out') + 1])\n"
        'out.parent.mkdir(parents=True, exist_ok=True)\n'
        "count = int(sys.argv[sys.argv.index('--offsets') + 1])\n"
        "rows = {str(o): {'mIoU': 60.0 - 6 * o} for o in range(count)}\n"
        'out.write_text(json.dumps(dict(offsets=rows)))\n'
    )
    return tmp_path


@pytest.fixture
def timed(monkeypatch):
    """Replace the timing by given figures, and note what is timed."""
    seen = []

    def fake(model, settings):
        seen.append(settings.config)
        measured = speed(*((100.0, 100.0, 20.0) if model == 'a.py' else (50, 50, 20)))
        return dict(measured, settings=json.loads(json.dumps(vars(settings))))

    class Model(str):
        def to(self, device):
            return str(self)

    monkeypatch.setattr(tradeoff, 'measure_speed', fake)
    monkeypatch.setattr(
        tradeoff, 'build_dff_model', lambda path, interval: Model(Path(path).name)
    )
    monkeypatch.setattr(tradeoff, 'load_checkpoint', lambda *args, **kwargs: None)
    threads = torch.get_num_threads()
    yield seen
    torch.set_num_threads(threads)


def test_a_job_goes_on_where_it_was(root, timed):
    weights = root / 'a.pth'
    weights.touch()
    options = dict(checkpoints={'A + F': str(weights)})
    TradeoffJob(root, root / 'plan.py', root / 'out', rows=['A + F'], **options).run()
    assert timed == ['a.py']
    job = TradeoffJob(root, root / 'plan.py', root / 'out', **options)
    job.run()
    assert timed == ['a.py', 'b.py']
    points = {(p.row, p.interval): p for p in job.read().itertuples()}
    assert points['A + F', 3].accuracy == pytest.approx((60 + 54 + 48) / 3)
    assert isnan(points['B + F', 3].accuracy)
    assert points['B + F', 3].speedup == pytest.approx(100 / 30)


def test_figures_of_a_job_over_variants(root, timed):
    folder = root / 'variants/figures'
    folder.mkdir(parents=True)
    for seed, value in ((0, 50.0), (1, 54.0)):
        rows = {str(o): dict(mIoU=value - o) for o in range(3)}
        for name in ('DFF', 'DFF_no_S'):
            text = json.dumps(dict(offsets=rows))
            (folder / f'{name}_seed{seed}.json').write_text(text)
    job = TradeoffJob(root, root / 'plan.py', root / 'out', variants=root / 'variants')
    job.run()
    last = job.read().iloc[-1]
    assert (last.accuracy, last.accuracy_spread, last.runs) == (51.0, 2.0, 2)
    (folder / 'DFF_no_S_seed0.json').unlink()
    (folder / 'DFF_no_S_seed1.json').unlink()
    with pytest.raises(FileNotFoundError, match="no figures of 'DFF no S'"):
        job.read()


def test_what_is_wrong_is_named(root, timed):
    plan, out = root / 'plan.py', root / 'out'
    with pytest.raises(ValueError, match=r"among \['A \+ F', 'B \+ F'\], got \['C'\]"):
        TradeoffJob(root, plan, out, rows=['C'])
    with pytest.raises(FileNotFoundError, match=r'no checkpoint .*none\.pth'):
        TradeoffJob(root, plan, out, checkpoints={'A + F': str(root / 'none.pth')})
    TradeoffJob(root, plan, out).run()
    other = TradeoffJob(root, plan, out, speed=dict(repeats=7))
    with pytest.raises(ValueError, match='repeats 2, not 7. Choose another --out'):
        other.run()
    with pytest.raises(ValueError, match='needs one thread and the CPU'):
        TradeoffJob(root, plan, out, speed=dict(is_cpu_time=True, threads=2)).run()


def test_too_few_rounds_are_refused():
    with pytest.raises(ValueError, match='must be >= 2 and repeats >= 1, got 1, 2'):
        SpeedSettings(config='a.py', size=(1, 1), interval=1, repeats=1, stream=2)


class Clock:
    """A clock that is moved by what is run."""

    now = 0.0

    def __call__(self):
        return self.now


def test_a_real_model_is_timed(dff_config, monkeypatch):
    """Every frame is run; N_feat takes 1 s, what is around it 5 s, in a stream 1 s."""
    from mmengine.registry import MODELS, init_default_scope

    cfg = dff_config('segmentor', flow=(1, 0))
    cfg.model.key_frame_scheduler = dict(type='FixedKeyFrameScheduler', interval=2)
    init_default_scope('mmseg')
    model = MODELS.build(cfg.model).eval()
    clock, runs = Clock(), dict(frame=0, step=0)

    def run(name, seconds, call):
        def wrapped(data):
            clock.now += seconds
            runs[name] += 1
            return call(data)

        return wrapped

    backbone, image = model.image_model.backbone, model.image_model
    runs['backbone'] = 0
    monkeypatch.setattr(backbone, 'forward', run('backbone', 1, backbone.forward))
    monkeypatch.setattr(image, 'test_step', run('frame', 5, image.test_step))
    monkeypatch.setattr(model, 'test_step', run('step', 1, model.test_step))
    settings = SpeedSettings(
        config='a.py', size=(64, 96), interval=2, repeats=3, stream=4, threads=1
    )
    monkeypatch.setattr('time.perf_counter', clock)
    found = measure_speed(model, settings)
    # a short round warms up: 2 + 2; 3 rounds of 2 + 2; 2 streams of 4 + 4
    assert (runs['frame'], runs['step']) == (2 + 6 + 8, 2 + 6 + 8)
    assert found['benchmark']['milliseconds']['frame'] == 6000
    assert found['benchmark']['milliseconds']['key'] == 2000
    assert found['rounds'] == [dict(frame=6.0, key=2.0, propagated=1.0)] * 3
    assert found['stream']['speedup'] == 24 / 5
    assert found['settings']['size'] == (64, 96)
    frames = [torch.zeros(3, 64, 96, dtype=torch.uint8)] * 3
    assert time_streams(model, frames, repeats=1, clock=clock) == [(18.0, 4.0)]
