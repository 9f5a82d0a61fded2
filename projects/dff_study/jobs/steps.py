"""Steps that run in order, or side by side, and continue where they stopped."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class StepError(RuntimeError):
    """A step failed; the message says which, why and where its log is."""


@dataclass(frozen=True)
class Step:
    """One step of a job.

    Attributes:
        name: Of its log and of its stamp, the file that marks it as finished.
        title: Shown while it runs.
        action: Does the work; called with the path of its log.
        outputs: Files it makes. The step is finished when they and its stamp exist.
        needs: Names of the steps that must finish before. None is all steps before,
            and no other step runs at the same time.
        settings: Saved in the stamp. A finished step with other settings is an error.
    """

    name: str
    title: str
    action: Callable[[Path], None]
    outputs: tuple[Path, ...] = ()
    needs: tuple[str, ...] | None = None
    settings: Mapping[str, Any] | None = None


def run_steps(steps: Sequence[Step], folder: Path, *, lanes: int = 1) -> None:
    """Run the steps that are not finished.

    Args:
        steps: In order; a step that does not need all before it may start earlier.
        folder: Gets `logs/NAME.log` and the stamps `logs/NAME.done`.
        lanes: Maximal number of steps that run at the same time.

    Raises:
        StepError: A step failed; finished steps stay finished.
        ValueError: A step needs one that is not before it, or was finished with other
            settings.
    """
    check_steps(steps, folder)
    logs = folder / 'logs'
    logs.mkdir(parents=True, exist_ok=True)
    heads = {s.name: f'[{n}/{len(steps)}] {s.title}' for n, s in enumerate(steps, 1)}
    done: set[str] = set()
    running: dict[Future, Step] = {}
    with ThreadPoolExecutor(lanes) as pool:
        while len(done) < len(steps):
            for step in _ready(steps, done, list(running.values()), lanes=lanes):
                if step.needs is None:
                    _run_step(step, logs, heads[step.name])
                    done.add(step.name)
                else:
                    future = pool.submit(_run_step, step, logs, heads[step.name])
                    running[future] = step
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                step = running.pop(future)
                if future.exception() and running:
                    others = ', '.join(other.title for other in running.values())
                    print(f'{step.title} failed; waiting for: {others}', flush=True)
                future.result()
                done.add(step.name)


def check_steps(steps: Sequence[Step], folder: Path) -> None:
    """Raise the ValueError of `run_steps`, if any, and run nothing."""
    before: set[str] = set()
    for step in steps:
        if unknown := set(step.needs or ()) - before:
            raise ValueError(
                f'step {step.name} needs {sorted(unknown)}, which must be listed '
                f'before it; got {sorted(before)}'
            )
        before.add(step.name)
        _check_settings(step, folder / 'logs')


def _is_finished(step: Step, logs: Path) -> bool:
    outputs = (_stamp(step, logs), *step.outputs)
    return all(path.exists() for path in outputs)


def _stamp(step: Step, logs: Path) -> Path:
    return logs / f'{step.name}.done'


def _check_settings(step: Step, logs: Path) -> None:
    if step.settings is None or not _is_finished(step, logs):
        return
    stamp = _stamp(step, logs)
    before = json.loads(stamp.read_text() or 'null')
    now = json.loads(json.dumps(step.settings))  # tuples become lists
    if before is None or before == now:
        return
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    pairs = [f'{name} {before.get(name)!r}, not {now.get(name)!r}' for name in names]
    raise ValueError(
        f'{logs.parent} holds a run with other settings: "{step.title}" had '
        f'{", ".join(pairs)}. Choose another --out, or delete {stamp}'
    )


def _ready(
    steps: Sequence[Step], done: set[str], running: Sequence[Step], *, lanes: int
) -> list[Step]:
    """Return the steps that can start now."""
    ready: list[Step] = []
    begun = done | {step.name for step in running}
    for step in steps:
        if step.name in begun:
            continue
        if step.needs is None:  # alone, and nothing after it starts before it
            alone = not running and not ready
            return [step] if alone else ready
        if set(step.needs) <= done and len(running) + len(ready) < lanes:
            ready.append(step)
    return ready


def _run_step(step: Step, logs: Path, head: str) -> None:
    """Run one step unless it is finished."""
    if _is_finished(step, logs):
        print(f'{head}: done before', flush=True)
        return
    print(head, flush=True)
    stamp = _stamp(step, logs)
    stamp.unlink(missing_ok=True)
    start = time.monotonic()
    _run_action(step, logs / f'{step.name}.log')
    stamp.write_text('' if step.settings is None else json.dumps(step.settings))
    print(f'    {step.name} took {time.monotonic() - start:.0f} s', flush=True)


def _run_action(step: Step, log: Path) -> None:
    try:
        step.action(log)
    except StepError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise StepError(f'step "{step.title}" failed: {kind}: {error}') from error
    missing = [str(path) for path in step.outputs if not path.exists()]
    if missing:
        raise StepError(f'step "{step.title}" did not write {missing}; log: {log}')
