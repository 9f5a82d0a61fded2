"""Variants of a video model, trained and tested by one resumable job (paper Tab. 4).

A plan is a config file: which configs are trained from what, which are tested with
whose weights, and with which seeds.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .atomic import write_atomically, write_json
from .steps import Step, StepError, run_command, run_steps
from .variant_tables import make_class_table, make_summary, make_table

CLASS = 'IoU.'  # figures of one class


@dataclass(frozen=True)
class Training:
    """One training of a plan.

    Attributes:
        config: Path from the folder of configs.
        load_from: Name of the training whose last checkpoint it starts from.
        flow: Name of the training whose flow network it starts from.
        is_shared: Whether one training serves all seeds.
    """

    config: str
    load_from: str | None = None
    flow: str | None = None
    is_shared: bool = False


@dataclass(frozen=True)
class Variant:
    """One row of the table.

    Attributes:
        config: Path from the folder of configs.
        weights: Name of the training whose last checkpoint is tested.
        flow: Name of the training whose flow network is put beside these weights,
            without joint training ("separate").
        is_copied: Whether it is an image model whose results are copied: its config
            has a ``CopiedResultsMetric`` as ``test_evaluator``.
    """

    config: str
    weights: str
    flow: str | None = None
    is_copied: bool = False


class VariantJob:
    """Train and test the variants of a plan, seed by seed.

    Args:
        root: Folder that holds `configs` and `tools`.
        plan: Config file with `seeds`, `offsets`, `figure`, `trainings`, `variants`,
            and perhaps `tables`: what :func:`make_summary` needs, and the offsets of
            tables by class, `class_offsets`.
        out: Folder to write; a job that was stopped goes on there.
        iterations: Of every training, in place of the configs'; to try a plan out.
        seeds: In place of the plan's.

    Raises:
        ValueError: The plan names a training that it does not hold, or trainings
            that start from each other.
    """

    def __init__(
        self,
        root: Path,
        plan: str | Path,
        out: Path,
        *,
        iterations: int | None = None,
        seeds: Sequence[int] | None = None,
    ) -> None:
        self.root, self.out = root.resolve(), out.resolve()
        self.iterations = iterations
        cfg = Config.fromfile(plan)
        self.seeds = list(seeds or cfg.seeds)
        self.offsets, self.figure = list(cfg.offsets), cfg.figure
        self.tables = dict(cfg.get('tables', {}))
        self.trainings = {n: Training(**v) for n, v in cfg.trainings.items()}
        self.variants = {n: Variant(**v) for n, v in cfg.variants.items()}
        self._check()
        self.trainings = _in_order(self.trainings)

    def run(self) -> dict[str, dict[int, dict[int, float]]]:
        """Do what is not done yet, and write `table.md` and `table.json`.

        Returns:
            The figure by variant, seed and offset.
        """
        run_steps(self._steps(), self.out)
        figures = self.read()
        write_json(figures, self.out / 'table.json')
        with write_atomically(self.out / 'table.md') as temporary:
            temporary.write_text(self.report() + '\n')
        return figures

    def read(self) -> dict[str, dict[int, dict[int, float]]]:
        """Read the figures of all tests that are done: variant, seed, offset."""
        read = self._read_all()
        return {name: row[self.figure] for name, row in read.items()}

    def report(self) -> str:
        """Write the tables of all tests that are done, as Markdown."""
        read = self._read_all()
        figures = {name: row[self.figure] for name, row in read.items()}
        parts = [
            f'{self.figure}, mean ± half the range over seeds',
            make_table(figures),
        ]
        given = self.tables
        if given.get('copied') in figures:
            names = ('copied', 'offsets', 'interval')
            summary = make_summary(figures, **{name: given[name] for name in names})
            parts += ['Against Frame and copied features', summary]
        by_class = {
            name: {k.removeprefix(CLASS): v for k, v in row.items() if CLASS in k}
            for name, row in read.items()
        }
        for offset in given.get('class_offsets', ()) if any(by_class.values()) else ():
            title = f'IoU of each class at offset {offset}, mean over seeds'
            parts += [title, make_class_table(by_class, offset)]
        return '\n\n'.join(parts)

    def _read_all(self) -> dict[str, dict[str, dict[int, dict[int, float]]]]:
        """Read all figures: variant, name of the figure, seed, offset."""
        read: dict[str, dict[str, dict[int, dict[int, float]]]] = {}
        for variant in self.variants:
            for seed in self.seeds:
                path = self._figures(variant, seed)
                if not path.is_file():
                    continue
                for offset, row in json.loads(path.read_text())['offsets'].items():
                    for name, value in row.items():
                        curves = read.setdefault(variant, {}).setdefault(name, {})
                        curves.setdefault(seed, {})[int(offset)] = value
        return read

    def _check(self) -> None:
        named = {n: (t.load_from, t.flow) for n, t in self.trainings.items()}
        named |= {n: (v.weights, v.flow) for n, v in self.variants.items()}
        unknown = [
            f'{source} (of {name})'
            for name, sources in named.items()
            for source in sources
            if source is not None and source not in self.trainings
        ]
        if unknown:
            raise ValueError(
                f'the plan has the trainings {sorted(self.trainings)}, but names '
                f'{unknown}'
            )

    def _steps(self) -> list[Step]:
        steps = []
        for seed in self.seeds:
            for name, training in self.trainings.items():
                if training.is_shared and seed != self.seeds[0]:
                    continue
                title = f'train {name}, seed {seed}'
                out = (self._last(name, seed),)
                steps.append(Step(f'{seed}_train_{name}', title, self._train, out))
            for name in self.variants:
                title = f'test {name}, seed {seed}'
                out = (self._figures(name, seed),)
                steps.append(Step(f'{seed}_test_{name}', title, self._test, out))
        return steps

    def _train(self, step: Step, log: Path) -> None:
        seed, name = _parse(step, '_train_')
        training = self.trainings[name]
        options = {
            'randomness.seed': seed,
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None,
        }
        if training.load_from:
            options['load_from'] = self._last(training.load_from, seed)
        options.update(self._flow_options(training.flow, seed))
        if self.iterations is not None:
            options['train_cfg.max_iters'] = self.iterations
            options['param_scheduler'] = None
        folder = self._folder(name, seed)
        resume = ['--resume'] if (folder / 'last_checkpoint').is_file() else []
        arguments = ['--work-dir', folder, *resume]
        self._tool('train.py', training.config, *arguments, log=log, options=options)

    def _test(self, step: Step, log: Path) -> None:
        seed, name = _parse(step, '_test_')
        variant = self.variants[name]
        weights = self._last(variant.weights, seed)
        if variant.flow is not None:
            weights = self._join(name, variant, seed)
        out = self._figures(name, seed)
        offsets = ','.join(map(str, self.offsets))
        arguments = [weights, '--work-dir', out.parent / 'logs']
        options = {}
        if variant.is_copied:
            name = 'test_evaluator'
            options = {f'{name}.offsets': f'[{offsets}]', f'{name}.out_file': out}
        else:
            arguments += ['--offsets', offsets, '--offsets-out', out]
        self._tool('test.py', variant.config, *arguments, log=log, options=options)

    def _join(self, name: str, variant: Variant, seed: int) -> Path:
        """Put the weights and the flow network of two trainings into one file."""
        out = self.out / f'seed{seed}' / f'{name}.pth'
        cfg = Config.fromfile(self.root / 'configs' / variant.config)
        cfg.merge_from_dict(self._flow_options(variant.flow, seed))
        config = self.out / f'seed{seed}' / f'{name}.py'
        config.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(config)
        log = self.out / 'logs' / f'{seed}_join_{name}.log'
        script = self.root / 'tools/model_converters/join_checkpoints.py'
        weights = self._last(variant.weights, seed)
        command = [sys.executable, script, config, weights, out]
        run_command([str(part) for part in command], log, cwd=self.root)
        return out

    def _flow_options(self, flow: str | None, seed: int) -> dict[str, Any]:
        if flow is None:
            return {}
        key = 'model.propagation.flow_estimator.init_cfg.checkpoint'
        return {key: str(self._last(flow, seed))}

    def _tool(
        self,
        tool: str,
        config: str,
        *arguments: Any,
        log: Path,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        command = [sys.executable, self.root / 'tools' / tool]
        command += [self.root / 'configs' / config, *arguments]
        if options:
            command += ['--cfg-options', *(f'{k}={v}' for k, v in options.items())]
        run_command([str(part) for part in command], log, cwd=self.root)

    def _folder(self, training: str, seed: int) -> Path:
        shared = self.trainings[training].is_shared
        return self.out / ('shared' if shared else f'seed{seed}') / training

    def _last(self, training: str, seed: int) -> Path:
        """Return the checkpoint that a training ends with."""
        last = self.iterations
        if last is None:
            path = self.root / 'configs' / self.trainings[training].config
            last = Config.fromfile(path).train_cfg.max_iters
        return self._folder(training, seed) / f'iter_{last}.pth'

    def _figures(self, variant: str, seed: int) -> Path:
        # options of a command lose their spaces
        name = f'{variant.replace(" ", "_")}_seed{seed}.json'
        return self.out / 'figures' / name


def _in_order(trainings: Mapping[str, Training]) -> dict[str, Training]:
    """Put what a training starts from before it."""
    left, ordered = dict(trainings), {}
    while left:
        ready = [
            name
            for name, training in left.items()
            if not {training.load_from, training.flow} & set(left)
        ]
        if not ready:
            raise ValueError(f'the trainings {sorted(left)} start from each other')
        ordered.update({name: left.pop(name) for name in ready})
    return ordered


def _parse(step: Step, word: str) -> tuple[int, str]:
    seed, _, name = step.name.partition(word)
    return int(seed), name


__all__ = ['StepError', 'Training', 'Variant', 'VariantJob']
