"""Freed memory stays with the process."""

import subprocess
import sys
from pathlib import Path

import dff.engine.memory as memory

# Without torch and dff: the test counts pages, not imports.
SCRIPT = """
import importlib.util, resource, sys
import numpy as np

path, mode = sys.argv[1:]
spec = importlib.util.spec_from_file_location('memory', path)
memory = importlib.util.module_from_spec(spec)
spec.loader.exec_module(memory)
if mode == 'keep':
    assert memory.keep_freed_memory()
def step():
    for mib in (1, 40, 60):
        np.empty(mib * 2**20, np.uint8).fill(1)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = [sys.executable, '-c', SCRIPT, str(Path(memory.__file__)), mode]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


def test_no_page_is_mapped_twice():
    """303 MiB are used again; a page has 4 KiB, a huge one 2 MiB."""
    assert page_faults('keep') < 100
    assert page_faults('default') > 303 // 2  # else the test tests nothing
