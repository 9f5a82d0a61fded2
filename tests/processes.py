"""Processes of tests that end in time, with all that they have started.

A new Python takes seconds to import torch, mmdet and mmseg. `run_script` and
`spawn_two` therefore fork from a server that has imported them; a fork has its own
arguments, environment, folder, output and exit code, as any process has.
"""

import contextlib
import functools
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

TESTS = Path(__file__).resolve().parent
PROJECTS = TESTS.parent / 'projects'
FORKS = multiprocessing.get_context('forkserver')
IMPORTED = ['pytest', 'matplotlib.pyplot', 'mmdet.apis', 'mmseg.apis', 'dff']


@functools.cache
def start_server():
    """Start what the forks come from. It sees no GPU and has a single thread."""
    FORKS.set_forkserver_preload(IMPORTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PYTHONPATH', str(PROJECTS))
        patch.setenv('OMP_NUM_THREADS', '1')
        patch.setenv('CUDA_VISIBLE_DEVICES', '')
        patch.setenv('MPLBACKEND', 'agg')
        forkserver.ensure_running()


def run(command, *, seconds=300, **kwargs):
    """Run a command; return its exit code and what it printed.

    No child outlives the time.
    """
    with subprocess.Popen(
        [str(part) for part in command], text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs,
    ) as process:  # fmt: skip
        try:
            shown, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            shown, _ = process.communicate()
            pytest.fail(f'{command} takes more than {seconds} s: {shown[-4000:]}')
    return process.returncode, shown


def run_script(script, *args, envs, log, cwd=None, seconds=300):
    """Run `python SCRIPT ARGS` in one fork per environment, all at the same time.

    Args:
        script: Python file.
        args: Command line.
        envs: Environment of each fork.
        log: File that takes what the forks print.
        cwd: Their folder; None for the present one.
        seconds: Then they are killed and the test fails.

    Returns:
        The first exit code that is not 0, or 0, and what the forks printed.
    """
    start_server()
    argv = [str(part) for part in (script, *args)]
    forks = [
        FORKS.Process(target=_become, args=(argv, env, cwd or os.getcwd(), str(log)))
        for env in envs
    ]
    end = time.monotonic() + seconds
    for fork in forks:
        fork.start()
    try:
        codes = []
        while None in (codes := [fork.exitcode for fork in forks]) and not any(codes):
            if time.monotonic() > end:
                pytest.fail(f'{argv} takes more than {seconds} s: {log.read_text()}')
            multiprocessing.connection.wait(
                [fork.sentinel for fork in forks if fork.exitcode is None], timeout=1
            )
    finally:  # one that fails ends the others, as torchrun does it
        for fork in forks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(fork.pid, signal.SIGKILL)
            fork.join()
    return next(filter(None, codes), 0), log.read_text()


def _become(argv, env, cwd, log):
    """Be the process that `python ARGV` would be."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    own = [p for p in sys.path if not Path(p or '.').resolve().is_relative_to(TESTS)]
    paths = [p for p in env.get('PYTHONPATH', '').split(os.pathsep) if p]
    sys.path[:] = [str(Path(argv[0]).resolve().parent), *paths, *own]
    sys.argv[:] = argv
    torch.set_num_threads(int(env['OMP_NUM_THREADS']))
    np.random.seed()  # else every fork draws the same
    runpy.run_path(argv[0], run_name='__main__')


def spawn_two(work, *args, seconds=240):
    """Call `work(rank, *args)` in two forks, which are killed after a time."""
    start_server()
    ranks = mp.start_processes(
        work, args=args, nprocs=2, join=False, start_method='forkserver'
    )
    end = time.monotonic() + seconds
    try:
        while not ranks.join(timeout=1):
            if time.monotonic() > end:
                pytest.fail('a rank hangs')
    finally:
        for process in ranks.processes:
            process.kill()
