"""A job of several steps that shows where it is and goes on where it was stopped."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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
        needs: Names of the steps that must be done before; None is all that are
            listed before, and no other step beside it.
    """

    name: str
    title: str
    action: Callable[['Step', Path], None]
    outputs: tuple[Path, ...] = ()
    needs: tuple[str, ...] | None = None


def run_steps(steps: Sequence[Step], folder: Path, *, lanes: int = 1) -> None:
    """Run the steps that are not done yet.

    Args:
        steps: In order; one that does not need all before it may begin earlier.
        folder: Where `logs/NAME.log` and the stamps `logs/NAME.done` go.
        lanes: How many steps may run at a time.

    Raises:
        StepError: A step failed; those before it and beside it stay done.
        ValueError: A step needs one that is not listed before it.
    """
    _check_needs(steps)
    logs = folder / 'logs'
    logs.mkdir(parents=True, exist_ok=True)
    heads = {s.name: f'[{n}/{len(steps)}] {s.title}' for n, s in enumerate(steps, 1)}
    done: set[str] = set()
    running: dict[Future, Step] = {}
    with ThreadPoolExecutor(lanes) as pool:
        while len(done) < len(steps):
            for step in _ready(steps, done, list(running.values()), lanes=lanes):
                if step.needs is None:
                    _do(step, logs, heads[step.name])
                    done.add(step.name)
                else:
                    future = pool.submit(_do, step, logs, heads[step.name])
                    running[future] = step
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                if future.exception() and running:
                    beside = ', '.join(other.title for other in running.values())
                    print(f'{step.title} failed; waiting for: {beside}', flush=True)
                future.result()
                done.add(step.name)


def _check_needs(steps: Sequence[Step]) -> None:
    before: set[str] = set()
    for step in steps:
        if unknown := set(step.needs or ()) - before:
            raise ValueError(
                f'step {step.name} needs {sorted(unknown)}, which must be listed '
                f'before it; got {sorted(before)}'
            )
        before.add(step.name)


def _ready(
    steps: Sequence[Step], done: set[str], running: Sequence[Step], *, lanes: int
) -> list[Step]:
    """Pick the steps that can begin now."""
    found: list[Step] = []
    begun = done | {step.name for step in running}
    for step in steps:
        if step.name in begun:
            continue
        if step.needs is None:  # alone, and nothing after it begins before it
            alone = not running and not found
            return [step] if alone else found
        if set(step.needs) <= done and len(running) + len(found) < lanes:
            found.append(step)
    return found


def _do(step: Step, logs: Path, head: str) -> None:
    """Run one step, unless it is done."""
    stamp = logs / f'{step.name}.done'
    if stamp.is_file() and all(path.exists() for path in step.outputs):
        print(f'{head}: done before', flush=True)
        return
    print(head, flush=True)
    stamp.unlink(missing_ok=True)
    start = time.monotonic()
    _run(step, logs / f'{step.name}.log')
    stamp.touch()
    print(f'    {step.name} took {time.monotonic() - start:.0f} s', flush=True)


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


def run_command(
    command: Sequence[str], log: Path, *, cwd: Path, threads: int | None = None
) -> None:
    """Run a command, its output going to `log` and its progress to the screen.

    Args:
        command: Program and arguments.
        log: File to write; its name stands before the progress.
        cwd: Folder to run in.
        threads: Of each operator, unless OMP_NUM_THREADS says it; None is all cores.

    Raises:
        StepError: It exited with an error.
    """
    print(f'    {join(command)}', flush=True)
    # Waiting threads that sleep: two spinning ones starve the data loader's.
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
    """Where the commands that run are; on a terminal one line, written over."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def show(self, name: str, line: str) -> None:
        """Show what a command prints, if it is progress."""
        found = PROGRESS.search(line)
        if found is None:
            return
        done, total, eta, loss = found.groups()
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
        """Forget a command; leave an empty line on a terminal."""
        with self._lock:
            self.texts.pop(name, None)
            if sys.stdout.isatty():
                self._overwrite('')

    def _overwrite(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 5
        start = f'\r{" " * width}\r'
        print(f'{start}    {text[: width - 4]}' if text else start, end='', flush=True)


PROGRESS_LINE = _ProgressLine()
