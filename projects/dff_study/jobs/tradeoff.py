"""Accuracy against speed over flow network, N_feat and l (paper Fig. 3).

A plan is a config file whose rows are DFF models. One step times a row: whole key
frames and others, interleaved with the image model, from which every l follows; and
one whole stream, from which no l follows, to see that they do. Another step tests a
row that has weights by offset, once, at the largest l.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from dff.apis.dff_model import build_dff_model
from dff.files import write_json
from dff.visualization.offset_curves import Curve, read_curve
from dff_study.reports.tradeoff_table import (
    Accuracy,
    Point,
    average_over_offsets,
    make_points,
)

from .row_speed import SpeedSettings, check_settings, measure_speed, read_speed
from .steps import Step, StepError, run_command, run_steps
from .variant_files import find_figures


class TradeoffJob:
    """Time and test the rows of a plan; a row that is done is not done again.

    Args:
        root: Folder that holds `configs` and `tools`.
        plan: Config file with `size` (H, W), `max_interval` (l is 1 to it), `figure`
            (such as mIoU), `timing` (`interval`, `repeats`, and `stream`, the l of
            the whole stream), `rows`, each with its `config` and perhaps a
            `checkpoint` and the `variant` it is in a `VariantJob`, and perhaps
            `reference`: the row whose image model all speed-ups are over.
        out: Folder to write; a job that was stopped goes on there.
        variants: Folder of a `VariantJob` whose figures by offset the rows take.
        checkpoints: By row, in the place of the plan's.
        rows: Which of the plan's rows; None takes all.
        speed: What replaces the plan's speed settings, by name.

    Raises:
        FileNotFoundError: A checkpoint is not there.
        ValueError: A row is named that the plan does not have, or two rows would
            have the same file names.
    """

    def __init__(
        self,
        root: Path,
        plan: str | Path,
        out: Path,
        *,
        variants: Path | None = None,
        checkpoints: Mapping[str, str] | None = None,
        rows: Sequence[str] | None = None,
        speed: Mapping | None = None,
    ) -> None:
        self.root, self.out, self.variants = root.resolve(), out.resolve(), variants
        cfg = Config.fromfile(plan)
        self.figure, self.reference = cfg.figure, cfg.get('reference')
        self.intervals = range(1, cfg.max_interval + 1)
        self.speed = dict(size=tuple(cfg.size), **cfg.timing) | dict(speed or {})
        self.rows = {name: dict(row) for name, row in cfg.rows.items()}
        named = [*(checkpoints or {}), *(rows or [])]
        named += [] if self.reference is None else [self.reference]
        if unknown := [name for name in named if name not in self.rows]:
            raise ValueError(f'rows must be among {list(self.rows)}, got {unknown}')
        for name, path in (checkpoints or {}).items():
            self.rows[name]['checkpoint'] = path
        for row in self.rows.values():
            if row.get('checkpoint'):
                row['checkpoint'] = _found(row['checkpoint'])
        self.rows = {n: row for n, row in self.rows.items() if n in (rows or self.rows)}
        self.slugs = {name: _slug(name) for name in self.rows}
        if len(set(self.slugs.values())) < len(self.rows):
            raise ValueError(
                f'names of rows must differ in more than signs, got {list(self.slugs)}'
            )

    def run(self) -> None:
        """Do what is not done yet.

        Raises:
            StepError: A step failed; those before it stay done.
            ValueError: A row was timed before, but with other settings.
        """
        for name in self.rows:
            check_settings(self._speed_file(name), self._settings(name))
        run_steps(self._steps(), self.out)

    def read(self) -> list[Point]:
        """Return what is known of every row that was timed, l by l."""
        speeds = self.read_speeds()
        accuracies = {name: self._accuracy(name) for name in speeds}
        return make_points(speeds, accuracies, self.intervals, reference=self.reference)

    def read_speeds(self) -> dict[str, dict]:
        """Return the measurements of every row that was timed."""
        speeds = {n: read_speed(self._speed_file(n)) for n in self.rows}
        return {name: speed for name, speed in speeds.items() if speed is not None}

    def _steps(self) -> list[Step]:
        steps = []
        for name, row in self.rows.items():
            slug, out = self.slugs[name], self._speed_file(name)
            steps.append(Step(f'speed_{slug}', f'time {name}', self._time, (out,)))
            if row.get('checkpoint') and not self._given_figures(name):
                out, title = self._tested_file(name), f'test {name} by offset'
                steps.append(Step(f'accuracy_{slug}', title, self._test, (out,)))
        return steps

    def _settings(self, name: str) -> SpeedSettings:
        row = self.rows[name]
        return SpeedSettings(
            config=row['config'], checkpoint=row.get('checkpoint'), **self.speed
        )

    def _time(self, step: Step, log: Path) -> None:
        name = self._row_of(step)
        settings = self._settings(name)
        torch.set_num_threads(settings.threads)
        model = build_dff_model(
            self.root / 'configs' / settings.config, interval=settings.interval
        )
        if settings.checkpoint:
            load_checkpoint(model, settings.checkpoint, map_location='cpu', strict=True)
        figures = measure_speed(model.to(settings.device), settings)
        write_json(figures, self._speed_file(name))

    def _test(self, step: Step, log: Path) -> None:
        name = self._row_of(step)
        row, out = self.rows[name], self._tested_file(name)
        command = [sys.executable, self.root / 'tools/test.py']
        command += [self.root / 'configs' / row['config'], row['checkpoint']]
        command += ['--offsets', self.intervals[-1], '--offsets-out', out]
        command += ['--work-dir', self.out / 'tests' / self.slugs[name]]
        run_command([str(part) for part in command], log, cwd=self.root)

    def _row_of(self, step: Step) -> str:
        slug = step.name.partition('_')[2]
        return next(name for name, known in self.slugs.items() if known == slug)

    def _accuracy(self, name: str) -> Accuracy:
        files = self._given_figures(name)
        if not files and self._tested_file(name).is_file():
            files = [self._tested_file(name)]
        curves: list[Curve] = [read_curve(path, self.figure)[1] for path in files]
        return average_over_offsets(curves, self.intervals)

    def _given_figures(self, name: str) -> list[Path]:
        """Find the files of all seeds that a `VariantJob` wrote for a row."""
        variant = self.rows[name].get('variant')
        if self.variants is None or variant is None:
            return []
        found = find_figures(self.variants, variant)
        if not found:
            raise FileNotFoundError(f'no figures of {variant!r} in {self.variants}')
        return list(found.values())

    def _speed_file(self, name: str) -> Path:
        return self.out / 'speed' / f'{self.slugs[name]}.json'

    def _tested_file(self, name: str) -> Path:
        return self.out / 'accuracy' / f'{self.slugs[name]}.json'


def _found(checkpoint: str) -> str:
    path = Path(checkpoint).resolve()  # tools run in another folder
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint {path}')
    return str(path)


def _slug(name: str) -> str:
    return re.sub(r'\W+', '_', name).strip('_')


__all__ = ['StepError', 'TradeoffJob']
