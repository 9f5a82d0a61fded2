"""The tools, run as a user starts them."""

import os
import socket
import sys
from pathlib import Path

from processes import run

ROOT = Path(__file__).resolve().parents[2]


def call(*command, is_ok=True, cwd=None, **env):
    """Run a command without a GPU; give what it printed."""
    path = os.pathsep.join([str(ROOT / 'projects'), os.environ.get('PYTHONPATH', '')])
    tools = os.path.dirname(sys.executable) + os.pathsep + os.environ['PATH']
    env = dict(os.environ, PYTHONPATH=path, PATH=tools, CUDA_VISIBLE_DEVICES='',
               OMP_NUM_THREADS='1', **env)  # fmt: skip
    code, shown = run(command, env=env, cwd=cwd)
    assert (code == 0) == is_ok, shown[-4000:]
    return shown


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def train(*args, **kwargs):
    return call(sys.executable, ROOT / 'tools/train.py', *args, **kwargs)


def test(*args, **kwargs):
    return call(sys.executable, ROOT / 'tools/test.py', *args, **kwargs)


test.__test__ = False
