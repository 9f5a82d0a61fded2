"""Run a command, with its output in a log and its progress on the screen."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from shlex import join

from .steps import StepError

PROGRESS = re.compile(  # mmengine's log lines
    r'Iter\((?:train|test|val)\) +\[ *(\d+)/(\d+)\]'
    r'(?:.*?eta: ([\d:]+))?(?:.*? loss: ([\d.]+))?'
)
LOG_TAIL = 15  # lines shown of a command that failed


def run_command(
    command: Sequence[str], log: Path, *, cwd: Path, threads: int | None = None
) -> None:
    """Run a command; write its output to `log` and show its progress.

    Args:
        command: Program and arguments.
        log: File to write; its name labels the progress.
        cwd: Folder to run in.
        threads: Default of OMP_NUM_THREADS; None uses all cores.

    Raises:
        StepError: The command exited with an error.
    """
    print(f'    {join(command)}', flush=True)
    # passive: idle threads sleep, so they do not starve the data loader
    env = {'OMP_WAIT_POLICY': 'passive', 'PYTHONUNBUFFERED': '1'}
    env |= {} if threads is None else {'OMP_NUM_THREADS': str(threads)}
    env |= os.environ
    tail: deque[str] = deque(maxlen=LOG_TAIL)
    options = dict(cwd=cwd, env=env, text=True, errors='replace')
    with (
        log.open('w', encoding='utf-8') as sink,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        ) as process,
    ):
        for line in process.stdout:
            sink.write(line)
            tail.append(line.rstrip())
            PROGRESS_LINE.show(log.stem, line)
    PROGRESS_LINE.end(log.stem)
    if process.returncode:
        end = '\n'.join(tail)
        raise StepError(
            f'{end}\n\n{join(command)}\nfailed with exit code {process.returncode}; '
            f'log: {log}'
        )


class _ProgressLine:
    """Progress of all running commands; on a terminal one line that is overwritten."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def show(self, name: str, line: str) -> None:
        """Show a line of a command if it reports progress."""
        match = PROGRESS.search(line)
        if match is None:
            return
        done, total, eta, loss = match.groups()
        parts = [f'{done} of {total}']
        parts += [f'loss {loss}'] if loss else []
        parts += [f'{eta} to go'] if eta else []
        with self._lock:
            self.texts[name] = f'{name}: {", ".join(parts)}'
            if sys.stdout.isatty():
                self._overwrite(' | '.join(self.texts.values()))
            else:
                print(f'    {self.texts[name]}', flush=True)

    def end(self, name: str) -> None:
        """Remove a command; clear the line on a terminal."""
        with self._lock:
            self.texts.pop(name, None)
            if sys.stdout.isatty():
                self._overwrite('')

    def _overwrite(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 5
        start = f'\r{" " * width}\r'
        print(f'{start}    {text[: width - 4]}' if text else start, end='', flush=True)


PROGRESS_LINE = _ProgressLine()
