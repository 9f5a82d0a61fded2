"""A job: steps in a folder, most of them commands of this repository."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .commands import run_command
from .steps import Step, check_steps, run_steps


class Job(ABC):
    """Steps that write to one folder; a job that was stopped continues there.

    Args:
        root: Folder that holds `configs` and `tools`.
        out: Folder to write.
        cwd: Folder in which commands run; None is ``root``.
        lanes: Maximal number of steps at the same time.
        threads: Of each command; None uses all cores.
    """

    def __init__(
        self,
        root: Path,
        out: Path,
        *,
        cwd: Path | None = None,
        lanes: int = 1,
        threads: int | None = None,
    ) -> None:
        self.root, self.out = root.resolve(), out.resolve()
        self.cwd = cwd or self.root
        self.lanes, self.threads = lanes, threads

    @abstractmethod
    def steps(self) -> list[Step]:
        """Return all steps, in order."""

    def check_steps(self) -> None:
        """Check the settings of finished steps.

        Raises:
            ValueError: The folder holds results with other settings.
        """
        check_steps(self.steps(), self.out)

    def run_steps(self) -> None:
        """Run the steps that are not finished.

        Raises:
            StepError: A step failed; finished steps stay finished.
            ValueError: The folder holds results with other settings.
        """
        run_steps(self.steps(), self.out, lanes=self.lanes)

    def tool(
        self,
        script: str,
        *arguments: Any,
        log: Path,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Run a script of `tools`.

        Args:
            script: Path from `tools`.
            arguments: Of the command.
            log: File for its output.
            options: For ``--cfg-options``.

        Raises:
            StepError: The command exited with an error.
        """
        command = [sys.executable, self.root / 'tools' / script, *arguments]
        if options:
            words = [f'{name}={_to_word(value)}' for name, value in options.items()]
            command += ['--cfg-options', *words]
        words = [str(part) for part in command]
        run_command(words, log, cwd=self.cwd, threads=self.threads)

    def train(
        self,
        config: Path,
        work_dir: Path,
        log: Path,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Train a config in a folder; an interrupted training resumes.

        Raises:
            StepError: The command exited with an error.
        """
        is_begun = (work_dir / 'last_checkpoint').is_file()
        arguments = ['--work-dir', work_dir, *(['--resume'] if is_begun else [])]
        self.tool('train.py', config, *arguments, log=log, options=options)


def _to_word(value: Any) -> Any:
    """Write lists as the command line reads them, without spaces."""
    if isinstance(value, (list, tuple)):
        return f'[{",".join(map(str, value))}]'
    return value
