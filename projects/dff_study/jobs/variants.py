"""Variants of a video model, trained and tested with several seeds (paper Tab. 4).

A plan says which configs to train from which weights, and which to test on which data:
:mod:`dff_study.variants.plan`.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dff.files import write_atomically, write_json
from dff_study.reports.variant_tables import make_report
from dff_study.variants.figures import figures_path, read_variants
from dff_study.variants.plan import VariantPlan

from .job import Job
from .steps import Step

NO_VALIDATION = dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator'))
Figures = dict[str, dict[int, dict[int, float]]]  # by variant, seed, offset


class VariantJob(Job):
    """Train and test the variants of a plan, seed by seed.

    Args:
        root: See :class:`~dff_study.jobs.job.Job`.
        plan: Config file, see :class:`~dff_study.variants.plan.VariantPlan`.
        out: Folder to write.
        iterations: Of each training, instead of those of the configs, to try a plan.
        seeds: Instead of those of the plan.

    Raises:
        ValueError: The plan names an unknown training, or trainings start from each
            other.
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
        super().__init__(root, out)
        self.iterations = iterations
        self.plan = VariantPlan(plan, seeds)

    def run(self) -> dict[str, Figures]:
        """Run the steps that are not finished; write `table.md` and `table.json`.

        Returns:
            The figure by test set, variant, seed and offset. For what it raises see
            `run_steps`.
        """
        self.run_steps()
        figures = {test: self.read(test) for test in self.plan.tests}
        write_json(figures, self.out / 'table.json')
        with write_atomically(self.out / 'table.md') as temporary:
            temporary.write_text(self.report() + '\n')
        return figures

    def read(self, test: str = '') -> Figures:
        """Return the figures of all finished tests, by variant, seed and offset."""
        table = read_variants(self.plan, self.out, test)
        figures: Figures = {}
        for (variant, seed), row in table.get(self.plan.figure, table).iterrows():
            figures.setdefault(variant, {})[int(seed)] = row.dropna().to_dict()
        return figures

    def report(self) -> str:
        """Return the tables of all finished tests, as Markdown."""
        return make_report(self.plan, self.out)

    def steps(self) -> list[Step]:
        """Return trainings, then joining and testing, for one seed after the other."""
        first, *others = self.plan.seeds
        steps = [*self._trainings(first, with_shared=True), *self._tests(first)]
        for seed in others:
            steps += [*self._trainings(seed), *self._tests(seed)]
        return steps

    def _trainings(self, seed: int, *, with_shared: bool = False) -> list[Step]:
        steps = []
        for name, training in self.plan.trainings.items():
            if training.is_shared and not with_shared:
                continue
            owner = 'shared' if training.is_shared else seed
            title = f'train {name}'
            title += '' if training.is_shared else f', seed {seed}'
            action, out = partial(self._train, name, seed), self._last(name, seed)
            steps.append(Step(f'{owner}_train_{name}', title, action, (out,)))
        return steps

    def _tests(self, seed: int) -> list[Step]:
        steps = []
        for name, variant in self.plan.variants.items():
            if variant.flow is not None:
                action, out = partial(self._join, name, seed), self._joined(name, seed)
                title = f'join {name}, seed {seed}'
                steps.append(Step(f'{seed}_join_{name}', title, action, (out,)))
            for test in self.plan.tests:
                suffix, title = (f'@{test}', f', {test}') if test else ('', '')
                out = figures_path(self.out, name, seed, test)
                action = partial(self._test, name, seed, test)
                title = f'test {name}, seed {seed}{title}'
                steps.append(Step(f'{seed}_test_{name}{suffix}', title, action, (out,)))
        return steps

    def _train(self, name: str, seed: int, log: Path) -> None:
        if self._last(name, seed).is_file():
            return  # trained by other means, such as tools/dist_train.sh
        training = self.plan.trainings[name]
        seed_used = self.plan.shared_seed if training.is_shared else seed
        options = {'randomness.seed': seed_used, **NO_VALIDATION, **training.options}
        if training.load_from:
            options['load_from'] = self._last(training.load_from, seed)
        options |= self._flow_options(training.flow, seed)
        if self.iterations is not None:
            options['train_cfg.max_iters'] = self.iterations
            options['param_scheduler'] = None
        config = self._config(training.config)
        self.train(config, self._folder(name, seed), log, options)

    def _test(self, name: str, seed: int, test: str, log: Path) -> None:
        variant = self.plan.variants[name]
        weights = self._last(variant.weights, seed)
        if variant.flow is not None:
            weights = self._joined(name, seed)
        out = figures_path(self.out, name, seed, test)
        offsets = ','.join(map(str, self.plan.offsets))
        arguments = [weights, '--work-dir', out.parent / 'logs']
        options = {**variant.options, **self.plan.tests[test]}
        if variant.is_copied:
            key = 'test_evaluator'
            options |= {f'{key}.offsets': f'[{offsets}]', f'{key}.out_file': out}
        else:
            arguments += ['--offsets', offsets, '--offsets-out', out]
        config = self._config(variant.config)
        self.tool('test.py', config, *arguments, log=log, options=options)

    def _join(self, name: str, seed: int, log: Path) -> None:
        """Join the weights and the flow network of two trainings in one file."""
        variant, out = self.plan.variants[name], self._joined(name, seed)
        cfg = Config.fromfile(self._config(variant.config))
        flow = self._flow_options(variant.flow, seed)
        cfg.merge_from_dict({**variant.options, **flow})
        config = out.with_suffix('.py')
        config.parent.mkdir(parents=True, exist_ok=True)
        cfg.dump(config)
        weights = self._last(variant.weights, seed)
        tool = 'model_converters/join_checkpoints.py'
        self.tool(tool, config, weights, out, log=log)

    def _flow_options(self, flow: str | None, seed: int) -> dict[str, Any]:
        if flow is None:
            return {}
        key = 'model.propagation.flow_estimator.init_cfg.checkpoint'
        return {key: str(self._last(flow, seed))}

    def _config(self, name: str) -> Path:
        return self.root / 'configs' / name

    def _folder(self, training: str, seed: int) -> Path:
        shared = self.plan.trainings[training].is_shared
        return self.out / ('shared' if shared else f'seed{seed}') / training

    def _last(self, name: str, seed: int) -> Path:
        """Return the last checkpoint of a training."""
        last = self.iterations
        if last is None:
            training = self.plan.trainings[name]
            cfg = Config.fromfile(self._config(training.config))
            cfg.merge_from_dict(dict(training.options))
            last = cfg.train_cfg.max_iters
        return self._folder(name, seed) / f'iter_{last}.pth'

    def _joined(self, variant: str, seed: int) -> Path:
        return self.out / f'seed{seed}' / f'{variant}.pth'
