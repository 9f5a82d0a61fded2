"""A job of several steps that shows where it is and goes on where it was stopped."""

import os
import re
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join

PROGRESS = re.compile(  # mmengine's log lines
    r'Iter\((?:train|test|val)\) +\[ *(\d+)/(\d+)\]'
    r'(?:.*?eta: ([\d:]+))?(?:.*? loss: ([\d.]+))?'
)
LOG_TAIL = 15  # lines shown of a command that failed


class StepError(RuntimeError):
    """A step failed; the message says which, why and where its log is."""


@dataclass(frozen=True)
class Step:
    """One step of a job.

    Attributes:
        name: Of its stamp file and log.
        title: What is said while it runs.
        action: Does the work; called with the step and the path of its log.
        outputs: Files it makes. The step is done when they and its stamp are there.
    """

    name: str
    title: str
    action: Callable[['Step', Path], None]
    outputs: tuple[Path, ...] = ()


def run_steps(steps: Sequence[Step], folder: Path) -> None:
    """Run the steps that are not done yet, one after the other.

    Args:
        steps: In order.
        folder: Where `logs/NAME.log` and the stamps `logs/NAME.done` go.

    Raises:
        StepError: A step failed; those before it stay done.
    """
    logs = folder / 'logs'
    logs.mkdir(parents=True, exist_ok=True)
    for number, step in enumerate(steps, start=1):
        stamp = logs / f'{step.name}.done'
        head = f'[{number}/{len(steps)}] {step.title}'
        if stamp.is_file() and all(path.exists() for path in step.outputs):
            print(f'{head}: done before', flush=True)
            continue
        print(head, flush=True)
        stamp.unlink(missing_ok=True)
        start = time.monotonic()
        _run(step, logs / f'{step.name}.log')
        stamp.touch()
        print(f'    took {time.monotonic() - start:.0f} s', flush=True)


def _run(step: Step, log: Path) -> None:
    try:
        step.action(step, log)
    except StepError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise StepError(f'step "{step.title}" failed: {kind}: {error}') from error
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
        raise StepError(f'step "{step.title}" did not write {missing}; log: {log}')


def run_command(command: Sequence[str], log: Path, *, cwd: Path) -> None:
    """Run a command, its output going to `log` and its progress to the screen.

    Args:
        command: Program and arguments.
        log: File to write.
        cwd: Folder to run in.

    Raises:
        StepError: It exited with an error.
    """
    print(f'    {join(command)}', flush=True)
    # Waiting threads that sleep: two spinning ones starve the data loader's.
    env = {'OMP_WAIT_POLICY': 'passive', 'PYTHONUNBUFFERED': '1', **os.environ}
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
            _show_progress(line)
    _end_line()
    if process.returncode:
        end = '\n'.join(tail)
        raise StepError(
            f'{end}\n\n{join(command)}\nfailed with exit code {process.returncode}; '
            f'log: {log}'
        )


def _show_progress(line: str) -> None:
    found = PROGRESS.search(line)
    if found is None:
        return
    done, total, eta, loss = found.groups()
    parts = [f'{done} of {total}']
    parts += [f'loss {loss}'] if loss else []
    parts += [f'{eta} to go'] if eta else []
    text = f'    {", ".join(parts)}'
    if sys.stdout.isatty():
        print(f'\r{text:<60}', end='', flush=True)
    else:
        print(text, flush=True)


def _end_line() -> None:
    if sys.stdout.isatty():
        print('\r' + ' ' * 60, end='\r', flush=True)
