"""Processes of tests that end in time, with all that they have started."""

import os
import signal
import subprocess
import time

import pytest
import torch.multiprocessing as mp


def run(command, *, seconds=300, **kwargs):
    """Run a command; give its code and what it printed. No child outlives the time."""
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


def spawn_two(work, *args, seconds=240):
    """Call `work(rank, *args)` in two new processes, which are killed after a time."""
    ranks = mp.spawn(work, args=args, nprocs=2, join=False)
    end = time.monotonic() + seconds
    try:
        while not ranks.join(timeout=1):
            if time.monotonic() > end:
                pytest.fail('a rank hangs')
    finally:
        for process in ranks.processes:
            process.kill()
