"""The tools, run as a user starts them."""

import os
import socket
import sys
import tempfile
from pathlib import Path

from processes import PROJECTS, run, run_script

ROOT = PROJECTS.parent


def environment(**changes):
    """Return the environment of a user without a GPU."""
    path = os.pathsep.join([str(PROJECTS), os.environ.get('PYTHONPATH', '')])
    tools = os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH']
    return dict(os.environ, PYTHONPATH=path, PATH=tools, CUDA_VISIBLE_DEVICES='',
                OMP_NUM_THREADS='1', **changes)  # fmt: skip


def call(*command, is_ok=True, cwd=None, **env):
    """Run a command in a shell's way; return what it printed."""
    code, shown = run(command, env=environment(**env), cwd=cwd)
    assert (code == 0) == is_ok, shown[-4000:]
    return shown


def call_tool(tool, *args, is_ok=True, code=None, cwd=None, ranks=1):
    """Run a Python tool in forks, which saves the imports; return what it printed.

    Args:
        tool: Its path.
        args: Command line.
        is_ok: Whether it must succeed; else it must fail.
        code: The exit code that is expected, instead of `is_ok`.
        cwd: Folder to run it in.
        ranks: With two, what `dist_train.sh` and `dist_test.sh` start.
    """
    envs = [environment()]
    if ranks > 1:
        args = (*args, '--launcher', 'pytorch')
        place = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
        world = dict(WORLD_SIZE=str(ranks), LOCAL_WORLD_SIZE=str(ranks), **place)
        envs = [
            environment(RANK=str(rank), LOCAL_RANK=str(rank), **world)
            for rank in range(ranks)
        ]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, 'log.txt')
        found, shown = run_script(tool, *args, envs=envs, log=log, cwd=cwd)
    is_expected = (found == 0) == is_ok if code is None else found == code
    assert is_expected, shown[-4000:]
    return shown


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def train(*args, **kwargs):
    return call_tool(ROOT / 'tools/train.py', *args, **kwargs)


def test(*args, **kwargs):
    return call_tool(ROOT / 'tools/test.py', *args, **kwargs)


test.__test__ = False
