"""Accuracy against speed over flow network, N_feat and l (paper Fig. 3).

A plan is a config file whose rows are DFF models. One step times a row: whole key
frames and others, in turns with the image model, from which the speed at each l
follows, and one whole stream to check it. Another step tests a row with weights by
offset, once, at the largest l.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint

from dff.apis.dff_model import build_dff_model
from dff.files import write_json
from dff.visualization.offset_curves import Curve, read_curve
from dff_study.reports.tradeoff_table import (
    Accuracy,
    average_over_offsets,
    make_points,
)
from dff_study.variants.figures import find_figures

from .job import Job
from .row_speed import SpeedSettings, measure_speed
from .steps import Step


class TradeoffJob(Job):
    """Time and test the rows of a plan.

    Args:
        root: See :class:`~dff_study.jobs.job.Job`.
        plan: Config file with `size` (H, W), `max_interval` (l is 1 to it), `figure`
            (such as mIoU), `timing` (`interval`, `repeats`, and `stream`, the l of
            the whole stream), `rows`, each with its `config`, optionally a
            `checkpoint` and its `variant` in a `VariantJob`, and optionally
            `reference`: the row whose image model is the base of all speed-ups.
        out: Folder to write.
        variants: Folder of a `VariantJob` with the figures by offset of the rows.
        checkpoints: By row, instead of those of the plan.
        rows: Names of the rows to use; None uses all.
        speed: Changes of the speed settings of the plan, by name.

    Raises:
        FileNotFoundError: A checkpoint does not exist.
        ValueError: The plan has no such row, or two rows have the same file names.
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
        super().__init__(root, out)
        self.variants = variants
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
                row['checkpoint'] = _resolve(row['checkpoint'])
        self.rows = {n: row for n, row in self.rows.items() if n in (rows or self.rows)}
        self.slugs = {name: _slug(name) for name in self.rows}
        if len(set(self.slugs.values())) < len(self.rows):
            raise ValueError(
                'names of rows must differ in letters or digits, got '
                f'{list(self.slugs)}'
            )

    def run(self) -> None:
        """Run the steps that are not finished. For what it raises see `run_steps`."""
        self.run_steps()

    def read(self) -> pd.DataFrame:
        """Return the points of the rows that are timed, see `make_points`."""
        speeds = self.read_speeds()
        accuracies = {name: self._accuracy(name) for name in speeds}
        return make_points(speeds, accuracies, self.intervals, reference=self.reference)

    def read_speeds(self) -> dict[str, dict]:
        """Return the measurements of the rows that are timed."""
        paths = {name: self._speed_file(name) for name in self.rows}
        return {n: json.loads(p.read_text()) for n, p in paths.items() if p.is_file()}

    def steps(self) -> list[Step]:
        """Return timing and testing, one row after the other."""
        steps = []
        for name, row in self.rows.items():
            slug, settings = self.slugs[name], self._settings(name)
            step = Step(
                f'speed_{slug}',
                f'time {name}',
                partial(self._time, name, settings),
                (self._speed_file(name),),
                settings=asdict(settings),
            )
            steps.append(step)
            if row.get('checkpoint') and not self._variant_files(name):
                step = Step(
                    f'accuracy_{slug}',
                    f'test {name} by offset',
                    partial(self._test, name),
                    (self._tested_file(name),),
                    settings=dict(checkpoint=row['checkpoint']),
                )
                steps.append(step)
        return steps

    def _settings(self, name: str) -> SpeedSettings:
        row = self.rows[name]
        return SpeedSettings(
            config=row['config'], checkpoint=row.get('checkpoint'), **self.speed
        )

    def _time(self, name: str, settings: SpeedSettings, log: Path) -> None:
        torch.set_num_threads(settings.threads)
        model = build_dff_model(
            self.root / 'configs' / settings.config, interval=settings.interval
        )
        if settings.checkpoint:
            load_checkpoint(model, settings.checkpoint, map_location='cpu', strict=True)
        figures = measure_speed(model.to(settings.device), settings)
        write_json(figures, self._speed_file(name))

    def _test(self, name: str, log: Path) -> None:
        row, config = self.rows[name], self.root / 'configs' / self.rows[name]['config']
        arguments = ['--offsets', self.intervals[-1]]
        arguments += ['--offsets-out', self._tested_file(name)]
        arguments += ['--work-dir', self.out / 'tests' / self.slugs[name]]
        self.tool('test.py', config, row['checkpoint'], *arguments, log=log)

    def _accuracy(self, name: str) -> Accuracy:
        files = self._variant_files(name)
        if not files and self._tested_file(name).is_file():
            files = [self._tested_file(name)]
        curves: list[Curve] = [read_curve(path, self.figure)[1] for path in files]
        return average_over_offsets(curves, self.intervals)

    def _variant_files(self, name: str) -> list[Path]:
        """Return the files of all seeds that a `VariantJob` wrote for a row."""
        variant = self.rows[name].get('variant')
        if self.variants is None or variant is None:
            return []
        files = find_figures(self.variants, variant)
        if not files:
            raise FileNotFoundError(f'no figures of {variant!r} in {self.variants}')
        return list(files.values())

    def _speed_file(self, name: str) -> Path:
        return self.out / 'speed' / f'{self.slugs[name]}.json'

    def _tested_file(self, name: str) -> Path:
        return self.out / 'accuracy' / f'{self.slugs[name]}.json'


def _resolve(checkpoint: str) -> str:
    path = Path(checkpoint).resolve()  # tools run in another folder
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint {path}')
    return str(path)


def _slug(name: str) -> str:
    return re.sub(r'\W+', '_', name).strip('_')
