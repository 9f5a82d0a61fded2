"""Measure and test a model at several splits; a step that is done is not done again.

See :mod:`dff_study.jobs.split_points` for what is measured (paper Tab. 5).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from dff.apis.dff_model import build_dff_model
from dff.checkpoint import read_checkpoint
from dff.files import write_atomically, write_json
from dff.models.seam.split_point import find_split

from .row_speed import refuse_other
from .split_points import (
    TIMED_FRAMES,
    Split,
    SplitSettings,
    default_splits,
    fill_split,
    measure_split,
)
from .steps import Step, run_command, run_steps


class SplitJob:
    """Measure and test a model at several splits.

    Args:
        root: Folder that holds `tools`.
        config: Config of a DFF model.
        out: Folder to write; a job that was stopped goes on there.
        splits: Where to split; None is `default_splits`.
        settings: How to measure.
        weights: Checkpoint of each split; the key None is for all others. Without
            any, weights are random, the same for all.
        is_tested: Whether those with weights of F are tested on the config's data.
        options: What to set in the config.

    Raises:
        FileNotFoundError: If a checkpoint is not there.
        ValueError: If no weights are there to test.
    """

    def __init__(
        self,
        root: Path,
        config: str | Path,
        out: Path,
        *,
        settings: SplitSettings,
        splits: Sequence[Split] | None = None,
        weights: Mapping[Split | None, str] | None = None,
        is_tested: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.root, self.config, self.out = root, Path(config), out.resolve()
        self.settings, self.options = settings, dict(options or {})
        self.weights, self.is_tested = dict(weights or {}), is_tested
        for path in self.weights.values():
            if not Path(path).is_file():
                raise FileNotFoundError(f'checkpoint {path} does not exist')
        if is_tested and not self.weights:
            raise ValueError('a test needs weights, got none')
        model = build_dff_model(self.config, options=self.options).image_model
        self.splits = list(splits or default_splits(model))
        for split in self.splits:  # what cannot be split is told before all the work
            find_split(model, split)
        self.common = model.state_dict()
        if unknown := set(self.weights) - {None, *self.splits}:
            raise ValueError(
                f'weights must be of one of the splits {self.splits}, got some of '
                f'{sorted(map(str, unknown))}'
            )

    def run(self) -> list[dict[str, Any]]:
        """Do what is not done yet; return the rows.

        Raises:
            ValueError: If a row there was measured in another way.
        """
        for row in self.read():
            split = row['split']
            refuse_other(self._measured(split), row, self._how(split))
        run_steps(self._steps(), self.out)
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        """Give what is done: `measure_split` of each, and `accuracy` by name."""
        rows = []
        for split in self.splits:
            if not self._measured(split).is_file():
                continue
            row = json.loads(self._measured(split).read_text())
            tested = self._tested(split)
            row['accuracy'] = (
                json.loads(tested.read_text()) if tested.is_file() else None
            )
            rows.append(row)
        return rows

    def _steps(self) -> list[Step]:
        steps = []
        for split in self.splits:
            out = (self._measured(split),)
            title = f'measure split {split}'
            steps.append(Step(f'measure_{split}', title, self._measure, out))
            if self.is_tested and self._weights_of(split):
                out = (self._tested(split),)
                title = f'test split {split}'
                steps.append(Step(f'test_{split}', title, self._test, out))
        return steps

    def _measure(self, step: Step, log: Path) -> None:
        torch.set_num_threads(self.settings.threads)
        split = self._split_of(step)
        model, is_trained = self._build(split)
        row = measure_split(model.to(self.settings.device), self.settings)
        row |= dict(is_scale_trained=is_trained, **self._how(split))
        write_json(row, self._measured(split))

    def _how(self, split: Split) -> dict[str, Any]:
        return dict(
            config=str(self.config),
            weights=self._weights_of(split),
            settings=asdict(self.settings),
        )

    def _test(self, step: Step, log: Path) -> None:
        split = self._split_of(step)
        model, is_trained = self._build(split)
        if is_trained is None:
            raise ValueError(f'{self._weights_of(split)} has no weights of F to test')
        filled = self.out / 'weights' / f'split_{split}.pth'
        with write_atomically(filled) as path:
            torch.save(dict(state_dict=model.state_dict()), path)
        command = [sys.executable, self.root / 'tools/test.py', self.config, filled]
        command += ['--offsets', self.settings.interval]
        command += ['--offsets-out', self._tested(split)]
        command += ['--work-dir', self.out / 'tests' / str(split)]
        options = {**self.options, 'model.split': split}
        command += ['--cfg-options', *(f'{k}={v}' for k, v in options.items())]
        run_command([str(part) for part in command], log, cwd=Path.cwd())

    def _build(self, split: Split) -> tuple[nn.Module, bool | None]:
        """Build the model of a split; see `fill_split` for what is said of it."""
        options = {**self.options, 'model.split': split}
        model = build_dff_model(self.config, interval=TIMED_FRAMES, options=options)
        path = self._weights_of(split)
        if path is None:
            model.image_model.load_state_dict(self.common)
            return model, None
        loaded = read_checkpoint(path)
        return model, fill_split(model, loaded.get('state_dict', loaded))

    def _weights_of(self, split: Split) -> str | None:
        return self.weights.get(split, self.weights.get(None))

    def _split_of(self, step: Step) -> Split:
        name = step.name.partition('_')[2]
        return int(name) if name.isdigit() else name

    def _measured(self, split: Split) -> Path:
        return self.out / f'split_{split}.json'

    def _tested(self, split: Split) -> Path:
        return self.out / 'tests' / f'split_{split}.json'


def read_interval(config: str | Path) -> int:
    """Read l of a config's fixed scheduler."""
    scheduler = Config.fromfile(config).model.get('key_frame_scheduler') or {}
    if 'interval' not in scheduler:
        raise ValueError(f'{config} has no fixed key frame interval: give --interval')
    return scheduler['interval']
