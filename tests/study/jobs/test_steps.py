import sys
import time
from functools import partial

import pytest

from dff_study.jobs.commands import run_command
from dff_study.jobs.steps import Step, StepError, run_steps


def make_steps(folder, calls, *, broken=()):
    def action(name, log):
        assert log == folder / f'logs/{name}.log'
        calls.append(name)
        if name in broken:
            raise ValueError('no good')
        (folder / f'{name}.txt').write_text('x')

    return [
        Step(name, f'do {name}', partial(action, name), (folder / f'{name}.txt',))
        for name in 'abc'
    ]


def test_a_stopped_job_goes_on_where_it_was(tmp_path, capsys):
    calls = []
    with pytest.raises(StepError, match='step "do b" failed: ValueError: no good'):
        run_steps(make_steps(tmp_path, calls, broken='b'), tmp_path)
    assert calls == ['a', 'b']
    capsys.readouterr()
    run_steps(make_steps(tmp_path, calls), tmp_path)
    assert calls == ['a', 'b', 'b', 'c']
    shown = capsys.readouterr().out
    assert '[1/3] do a: done before' in shown and '[2/3] do b\n' in shown
    run_steps(make_steps(tmp_path, calls), tmp_path)
    assert calls == ['a', 'b', 'b', 'c']


def test_a_step_is_done_again_where_its_file_or_its_stamp_is_gone(tmp_path):
    calls = []
    run_steps(make_steps(tmp_path, calls), tmp_path)
    (tmp_path / 'a.txt').unlink()
    (tmp_path / 'logs/c.done').unlink()  # a half-written c.txt looks like this
    run_steps(make_steps(tmp_path, calls), tmp_path)
    assert calls == ['a', 'b', 'c', 'a', 'c']


def test_a_step_that_writes_nothing_is_an_error(tmp_path):
    step = Step('a', 'do a', lambda log: None, (tmp_path / 'never',))
    with pytest.raises(StepError, match='"do a" did not write .*never'):
        run_steps([step], tmp_path)
    assert not list(tmp_path.glob('logs/*.done'))


def lane_steps(calls, needs):
    """Steps that say when they begin and end; `needs` by name."""

    def action(name, log):
        calls.append(f'{name} begins')
        time.sleep(0.2)
        calls.append(f'{name} ends')

    return [
        Step(n, f'do {n}', partial(action, n), needs=given)
        for n, given in needs.items()
    ]


def test_steps_run_beside_each_other_as_their_needs_allow(tmp_path):
    calls = []
    needs = dict(a=(), b=(), c=('a',), d=None)
    run_steps(lane_steps(calls, needs), tmp_path, lanes=2)
    place = {call: i for i, call in enumerate(calls)}
    assert place['b begins'] < place['a ends'] < place['c begins']
    assert max(place['b ends'], place['c ends']) < place['d begins']
    calls.clear()
    (tmp_path / 'logs').rename(tmp_path / 'before')
    run_steps(lane_steps(calls, needs), tmp_path)
    assert calls == [f'{n} {what}' for n in 'abcd' for what in ('begins', 'ends')]


def test_a_failure_lets_the_step_beside_it_end(tmp_path, capsys):
    def fail(log):
        raise ValueError('no good')

    calls = []
    _, beside, after = lane_steps(calls, dict(a=(), b=(), c=None))
    with pytest.raises(StepError, match='step "do x" failed'):
        run_steps([Step('x', 'do x', fail, needs=()), beside, after], tmp_path, lanes=2)
    assert calls == ['b begins', 'b ends']
    assert (tmp_path / 'logs/b.done').is_file()
    assert 'do x failed; waiting for: do b' in capsys.readouterr().out


def test_unknown_needs_are_named(tmp_path):
    steps = [Step('a', 'do a', print, needs=('b',)), Step('b', 'do b', print)]
    with pytest.raises(ValueError, match=r"step a needs \['b'\]"):
        run_steps(steps, tmp_path)


def test_other_settings_of_a_finished_step_are_refused(tmp_path):
    calls = []

    def run(**settings):
        steps = [
            Step('a', 'do a', lambda log: calls.append('a'), settings=settings),
            Step('b', 'do b', lambda log: calls.append('b')),
        ]
        run_steps(steps, tmp_path)

    run(size=(1, 2), weights=None)
    run(size=[1, 2], weights=None)
    assert calls == ['a', 'b']
    message = r'other settings: "do a" had size \[1, 2\], not \[1, 3\]. Choose another'
    with pytest.raises(ValueError, match=message):
        run(size=(1, 3), weights=None)
    (tmp_path / 'logs/a.done').unlink()
    run(size=(1, 3), weights=None)
    assert calls == ['a', 'b', 'a']


PROGRAM = """
import os, sys
print('11/23 - mmengine - INFO - Iter(train) [ 50/600]  lr: 1e-3  eta: 0:01:40  '
      'time: 0.1  grad_norm: 0.7  loss: 2.1930  loss_cls: 1.2466')
print('Iter(test) [ 50/120]    eta: 0:00:03  time: 0.0548')
print('something else', os.environ['OMP_WAIT_POLICY'],
      os.environ['OMP_NUM_THREADS'], os.getcwd())
sys.exit(int(sys.argv[1]))
"""


def test_progress_is_shown_and_the_rest_is_kept(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    folder = tmp_path / 'a folder'
    folder.mkdir()
    log = tmp_path / 'log'
    command = [sys.executable, '-c', PROGRAM, '0']
    run_command(command, log, cwd=folder, threads=3)
    shown = capsys.readouterr().out
    assert '    log: 50 of 600, loss 2.1930, 0:01:40 to go\n' in shown
    assert '    log: 50 of 120, 0:00:03 to go\n' in shown
    assert 'something else passive' not in shown
    assert log.read_text().splitlines()[-1] == f'something else passive 3 {folder}'


def test_a_failing_command_says_how_it_ended(tmp_path):
    log = tmp_path / 'log'
    with pytest.raises(StepError) as caught:
        command = [sys.executable, '-c', PROGRAM, '3']
        run_command(command, log, cwd=tmp_path, threads=1)
    message = str(caught.value)
    assert 'something else' in message  # the end of its output
    assert f'failed with exit code 3; log: {log}' in message
