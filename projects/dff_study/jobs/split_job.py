"""Measure and test a model at several splits (paper Tab. 5)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from dff.apis.dff_model import build_dff_model
from dff.checkpoint import read_checkpoint
from dff.files import write_atomically, write_json
from dff.models.seam.find_split import find_split

from .job import Job
from .split_points import (
    TIMED_FRAMES,
    Split,
    SplitSettings,
    default_splits,
    fill_split,
    measure_split,
)
from .steps import Step


class SplitJob(Job):
    """Measure and test a model at several splits.

    Args:
        root: See :class:`~dff_study.jobs.job.Job`.
        config: Config of a DFF model.
        out: Folder to write.
        splits: Where to split; None is `default_splits`.
        settings: How to measure.
        weights: Checkpoint of each split; the key None is for all others. Without
            any, all splits get the same random weights.
        is_tested: Whether to test splits with weights of F on the data of the config.
        options: Changes of the config.

    Raises:
        FileNotFoundError: A checkpoint does not exist.
        ValueError: A test lacks weights, or the model cannot be split there.
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
        super().__init__(root, out, cwd=Path.cwd())
        self.config = Path(config)
        self.settings, self.options = settings, dict(options or {})
        self.weights, self.is_tested = dict(weights or {}), is_tested
        for path in self.weights.values():
            if not Path(path).is_file():
                raise FileNotFoundError(f'checkpoint {path} does not exist')
        if is_tested and not self.weights:
            raise ValueError('a test needs weights, got none')
        model = build_dff_model(self.config, options=self.options).image_model
        self.splits = list(splits or default_splits(model))
        for split in self.splits:  # raises before the work begins
            find_split(model, split)
        self.common = model.state_dict()
        if unknown := set(self.weights) - {None, *self.splits}:
            raise ValueError(
                f'weights must be of one of the splits {self.splits}, got some of '
                f'{sorted(map(str, unknown))}'
            )

    def run(self) -> list[dict[str, Any]]:
        """Run the steps that are not finished; return `read`.

        For what it raises see `run_steps`.
        """
        self.run_steps()
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        """Return `measure_split` of each finished split, and `accuracy` by name."""
        rows = []
        for split in self.splits:
            if self._measured(split).is_file():
                row = json.loads(self._measured(split).read_text())
                tested = self._tested(split)
                is_tested = tested.is_file()
                row['accuracy'] = json.loads(tested.read_text()) if is_tested else None
                rows.append(row)
        return rows

    def steps(self) -> list[Step]:
        """Return measuring and testing, one split after the other."""
        steps = []
        for split in self.splits:
            for name, action, out in (
                ('measure', self._measure, self._measured(split)),
                ('test', self._test, self._tested(split)),
            ):
                if name == 'test' and not (self.is_tested and self._weights_of(split)):
                    continue
                step = Step(
                    f'{name}_{split}',
                    f'{name} split {split}',
                    partial(action, split),
                    (out,),
                    settings=self._describe(split),
                )
                steps.append(step)
        return steps

    def _measure(self, split: Split, log: Path) -> None:
        torch.set_num_threads(self.settings.threads)
        model, is_trained = self._build(split)
        row = measure_split(model.to(self.settings.device), self.settings)
        row |= dict(is_scale_trained=is_trained, **self._describe(split))
        write_json(row, self._measured(split))

    def _describe(self, split: Split) -> dict[str, Any]:
        """Return what decides the result of a split."""
        return dict(
            config=str(self.config),
            weights=self._weights_of(split),
            settings=asdict(self.settings),
        )

    def _test(self, split: Split, log: Path) -> None:
        model, is_trained = self._build(split)
        if is_trained is None:
            raise ValueError(f'{self._weights_of(split)} has no weights of F to test')
        filled = self.out / 'weights' / f'split_{split}.pth'
        with write_atomically(filled) as path:
            torch.save(dict(state_dict=model.state_dict()), path)
        arguments = ['--offsets', self.settings.interval]
        arguments += ['--offsets-out', self._tested(split)]
        arguments += ['--work-dir', self.out / 'tests' / str(split)]
        options = {**self.options, 'model.split': split}
        self.tool('test.py', self.config, filled, *arguments, log=log, options=options)

    def _build(self, split: Split) -> tuple[nn.Module, bool | None]:
        """Build the model of a split; return it and the result of `fill_split`."""
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

    def _measured(self, split: Split) -> Path:
        return self.out / f'split_{split}.json'

    def _tested(self, split: Split) -> Path:
        return self.out / 'tests' / f'split_{split}.json'


def read_interval(config: str | Path) -> int:
    """Return l of the fixed scheduler of a config.

    Raises:
        ValueError: The config has none.
    """
    scheduler = Config.fromfile(config).model.get('key_frame_scheduler') or {}
    if 'interval' not in scheduler:
        raise ValueError(f'{config} has no fixed key frame interval: give --interval')
    return scheduler['interval']
