"""Variants of a video model, trained and tested by one resumable job (paper Tab. 4).

A plan says which configs are trained from what, which are tested with whose weights,
on which test sets and with which seeds: :mod:`dff_study.jobs.variant_plan`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dff.files import write_atomically, write_json
from dff.visualization.offset_curves import read_figures
from dff_study.reports.variant_tables import (
    make_class_table,
    make_paper_table,
    make_summary,
    make_table,
)

from .steps import Step, StepError, run_command, run_steps
from .variant_files import figures_path
from .variant_plan import Training, Variant, VariantPlan

CLASS = 'IoU.'  # figures of one class
Figures = dict[str, dict[int, dict[int, float]]]  # by variant, seed, offset


class VariantJob:
    """Train and test the variants of a plan, seed by seed.

    Args:
        root: Folder that holds `configs` and `tools`.
        plan: Config file, see :class:`~dff_study.jobs.variant_plan.VariantPlan`.
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
        self.plan = VariantPlan(plan, seeds)

    def run(self) -> dict[str, Figures]:
        """Do what is not done yet, and write `table.md` and `table.json`.

        Returns:
            The figure by test set, variant, seed and offset.
        """
        run_steps(self._steps(), self.out)
        figures = {test: self.read(test) for test in self.plan.tests}
        write_json(figures, self.out / 'table.json')
        with write_atomically(self.out / 'table.md') as temporary:
            temporary.write_text(self.report() + '\n')
        return figures

    def read(self, test: str = '') -> Figures:
        """Read the figures of all tests that are done: variant, seed, offset."""
        read = self._read_all(test)
        return {name: row[self.plan.figure] for name, row in read.items()}

    def report(self) -> str:
        """Write the tables of all tests that are done, as Markdown."""
        parts = [self._report(test) for test in self.plan.tests]
        return '\n\n'.join(parts)

    def _report(self, test: str) -> str:
        read, given = self._read_all(test), self.plan.tables
        figures = {name: row[self.plan.figure] for name, row in read.items()}
        unit = '' if self.plan.factor == 1 else f' x {self.plan.factor}'
        title = f'{test}: {self.plan.figure}' if test else self.plan.figure
        title = f'{title}{unit}, mean ± half the range over seeds'
        parts = [title, make_table(figures)]
        names = ('copied', 'offsets', 'interval')
        if given.get('copied') in figures:
            if 'paper' in given:
                options = dict(copied=given['copied'], interval=given['interval'])
                table = make_paper_table(figures, given['paper'], **options)
                title = (
                    f'Table 4, l = {given["interval"]}: mean over offsets 0 to l - 1'
                )
                parts += [title, table]
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

    def _read_all(self, test: str) -> dict[str, Figures]:
        """Read figures, times `factor`: variant, name of the figure, seed, offset."""
        read: dict[str, Figures] = {}
        for variant in self.plan.variants:
            for seed in self.plan.seeds:
                path = self._figures(variant, seed, test)
                if not path.is_file():
                    continue
                for name, curve in read_figures(path).items():
                    curves = read.setdefault(variant, {}).setdefault(name, {})
                    curves[seed] = {o: v * self.plan.factor for o, v in curve.items()}
        return read

    def _steps(self) -> list[Step]:
        steps = []
        for seed in self.plan.seeds:
            for name, training in self.plan.trainings.items():
                if training.is_shared and seed != self.plan.seeds[0]:
                    continue
                title = f'train {name}' + (
                    '' if training.is_shared else f', seed {seed}'
                )
                out = (self._last(name, seed),)
                owner = 'shared' if training.is_shared else seed
                steps.append(Step(f'{owner}_train_{name}', title, self._train, out))
            for name in self.plan.variants:
                for test in self.plan.tests:
                    title = f'test {name}, seed {seed}' + (f', {test}' if test else '')
                    out = (self._figures(name, seed, test),)
                    key = f'{seed}_test_{name}' + (f'@{test}' if test else '')
                    steps.append(Step(key, title, self._test, out))
        return steps

    def _train(self, step: Step, log: Path) -> None:
        owner, _, name = step.name.partition('_train_')
        seed = self.plan.shared_seed if owner == 'shared' else int(owner)
        if self._last(name, seed).is_file():
            return  # trained by other means, such as tools/dist_train.sh
        training = self.plan.trainings[name]
        options = {
            'randomness.seed': seed,
            'val_cfg': None,
            'val_dataloader': None,
            'val_evaluator': None,
            **training.options,
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
        owner, _, name = step.name.partition('_test_')
        seed = int(owner)
        name, _, test = name.partition('@')
        variant = self.plan.variants[name]
        weights = self._last(variant.weights, seed)
        if variant.flow is not None:
            weights = self._join(name, variant, seed)
        out = self._figures(name, seed, test)
        offsets = ','.join(map(str, self.plan.offsets))
        arguments = [weights, '--work-dir', out.parent / 'logs']
        options = {**variant.options, **self.plan.tests[test]}
        if variant.is_copied:
            name = 'test_evaluator'
            options |= {f'{name}.offsets': f'[{offsets}]', f'{name}.out_file': out}
        else:
            arguments += ['--offsets', offsets, '--offsets-out', out]
        self._tool('test.py', variant.config, *arguments, log=log, options=options)

    def _join(self, name: str, variant: Variant, seed: int) -> Path:
        """Put the weights and the flow network of two trainings into one file."""
        out = self.out / f'seed{seed}' / f'{name}.pth'
        cfg = Config.fromfile(self.root / 'configs' / variant.config)
        cfg.merge_from_dict(
            {**variant.options, **self._flow_options(variant.flow, seed)}
        )
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
            words = [f'{k}={_as_option(v)}' for k, v in options.items()]
            command += ['--cfg-options', *words]
        run_command([str(part) for part in command], log, cwd=self.root)

    def _folder(self, training: str, seed: int) -> Path:
        shared = self.plan.trainings[training].is_shared
        return self.out / ('shared' if shared else f'seed{seed}') / training

    def _last(self, training: str, seed: int) -> Path:
        """Return the checkpoint that a training ends with."""
        last = self.iterations
        if last is None:
            given = self.plan.trainings[training]
            cfg = Config.fromfile(self.root / 'configs' / given.config)
            cfg.merge_from_dict(dict(given.options))
            last = cfg.train_cfg.max_iters
        return self._folder(training, seed) / f'iter_{last}.pth'

    def _figures(self, variant: str, seed: int, test: str) -> Path:
        return figures_path(self.out, variant, seed, test)


def _as_option(value: Any) -> Any:
    """Write lists as the command line reads them, without spaces."""
    if isinstance(value, (list, tuple)):
        return f'[{",".join(map(str, value))}]'
    return value


__all__ = ['StepError', 'Training', 'Variant', 'VariantJob']
