"""The quick start: synthetic videos, Frame and DFF models, and what they reach.

Each training and test is a command, of `tools/train.py` or `tools/test.py` on a config
in `OUT/configs`; you can run each by hand.
"""

import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dff.converters.data import write_synthetic_set
from dff.visualization.offset_curves import Curve
from dff_study.jobs.job import Job
from dff_study.jobs.steps import Step

from .configs import FULL, LABELS, TASKS, QuickStartConfigs, Settings
from .report import (
    ModelFiles,
    TaskResults,
    make_table,
    read_curves,
    save_curves,
    save_demo,
    save_flow_picture,
    save_table,
    time_models,
)

LANES = 2  # small models hardly use a second core, so two of them run side by side
VIDEOS = dict(det='boxes.mp4', seg='labels.mp4')


class QuickStart(Job):
    """Make videos, train and test the models, and show the results.

    Args:
        root: See :class:`~dff_study.jobs.job.Job`.
        out: Folder to write.
        settings: Sizes, lengths and tasks.
    """

    def __init__(self, root: Path, out: Path, settings: Settings = FULL) -> None:
        cores = len(os.sched_getaffinity(0))
        lanes = min(LANES, cores)
        out = out.resolve()
        super().__init__(root, out, cwd=out, lanes=lanes, threads=cores // lanes)
        self.settings = settings
        self.configs = QuickStartConfigs(self.root, self.out, settings)
        self.videos = {task: self.out / VIDEOS[task] for task in settings.tasks}
        names = ('flow.jpg', 'offsets.png', 'results.md')
        self.flow, self.curves, self.table = (self.out / name for name in names)

    def run(self) -> None:
        """Run the steps that are not finished. For what it raises see `run_steps`."""
        self.check_steps()
        self.configs.write()
        self.run_steps()

    def steps(self) -> list[Step]:
        """Return making videos, trainings, tests, pictures and the table."""
        tasks = self.settings.tasks
        sets = tuple(self.out / f'data/annotations/{n}.json' for n in ('train', 'test'))
        data = Step(
            'data',
            'make synthetic videos',
            self._make_data,
            sets,
            settings=asdict(self.settings),
        )
        steps = [data, *self._trainings()]
        for task in tasks:
            steps += self._tests(task)
        for task in tasks:
            title = f'write a video: {TASKS[task].title}'
            write = partial(self._write_video, task)
            steps.append(Step(f'demo_{task}', title, write, (self.videos[task],)))
        return [
            *steps,
            Step('flow', 'draw a flow', self._draw_flow, (self.flow,)),
            Step('curves', 'plot accuracy by offset', self._plot, (self.curves,)),
            Step('table', 'time the models', self._tabulate, (self.table,)),
        ]

    def _trainings(self) -> list[Step]:
        """Return the trainings; the slowest first, so that no lane waits long."""
        models = {
            f'{task}_frame': f'train Frame, {TASKS[task].title}'
            for task in self.settings.frame_tasks()
        }
        models['flow'] = 'pre-train a FlowNet on the videos (no labels)'
        models |= {
            f'{task}_dff': f'train DFF, {TASKS[task].title}'
            for task in self.settings.tasks
        }
        steps = []
        for model, title in sorted(models.items(), key=lambda m: m[0] != 'flow'):
            task = TASKS.get(model.partition('_')[0])
            needs = ['data']
            if model.endswith('_frame') and task.starts_from is not None:
                needs = [f'train_{task.starts_from}_frame']
            if model.endswith('_dff'):
                needs = ['train_flow', f'train_{model.removesuffix("dff")}frame']
            out = (self.configs.last(model),)
            train = partial(self._train, model)
            steps.append(Step(f'train_{model}', title, train, out, tuple(needs)))
        return steps

    def _tests(self, task: str) -> list[Step]:
        steps = []
        for kind in ('frame', *LABELS):
            model, label = f'{task}_{kind}', LABELS.get(kind, 'Frame')
            needs = (f'train_{model if kind == "dff" else f"{task}_frame"}',)
            title = f'test {TASKS[task].title}, stream: {label}'
            run = partial(self._test, model)
            steps.append(Step(f'test_{model}', title, run, needs=needs))
            if kind != 'frame':
                title = f'test {TASKS[task].title}, by offset: {label}'
                run, out = partial(self._test_offsets, model), self._offset_file(model)
                steps.append(Step(f'offsets_{model}', title, run, (out,), needs))
        return steps

    def _make_data(self, log: Path) -> None:
        given = self.settings
        for seed, name in enumerate(('train', 'test')):
            videos, frames = getattr(given, name)
            write_synthetic_set(
                self.out / 'data',
                name=name,
                num_videos=videos,
                num_frames=frames,
                size=given.size,
                seed=seed,
                speed=given.speed,
            )

    def _train(self, model: str, log: Path) -> None:
        self.train(self.configs.path(model), self.out / model, log)

    def _test(self, model: str, log: Path) -> None:
        self._test_model(model, 'test', log)

    def _test_offsets(self, model: str, log: Path) -> None:
        offsets = ['--offsets', self.settings.interval]
        offsets += ['--offsets-out', self._offset_file(model)]
        self._test_model(model, 'offsets', log, *offsets)

    def _test_model(self, model: str, kind: str, log: Path, *arguments: str) -> None:
        files = (self.configs.path(model), self.configs.weights(model))
        work_dir = ('--work-dir', self.out / 'tests' / f'{kind}_{model}')
        self.tool('test.py', *files, *work_dir, *arguments, log=log)

    def _write_video(self, task: str, log: Path) -> None:
        save_demo(self._model(f'{task}_dff'), self._test_videos(), self.videos[task])

    def _draw_flow(self, log: Path) -> None:
        task = self.settings.tasks[0]
        models = {LABELS[kind]: self._model(f'{task}_{kind}') for kind in LABELS}
        del models[LABELS['copy']]
        save_flow_picture(models, self._test_videos()[0], self.flow)

    def _plot(self, log: Path) -> None:
        curves = {
            f'{TASKS[task].title}, {TASKS[task].label}': self._read_curves(task)
            for task in self.settings.tasks
        }
        save_curves(curves, self.curves)

    def _tabulate(self, log: Path) -> None:
        results = {}
        for name in self.settings.tasks:
            task = TASKS[name]
            models = {LABELS[kind]: self._model(f'{name}_{kind}') for kind in LABELS}
            print(f'    {task.title}', flush=True)
            video, repeats = self._test_videos()[0], self.settings.repeats
            results[task.title] = TaskResults(
                label=task.label,
                streams={
                    label: self._read_stream(f'{name}_{kind}', task.figure) * task.unit
                    for kind, label in dict(frame='Frame', **LABELS).items()
                },
                offsets=self._read_curves(name),
                speeds=time_models(models, video, repeats=repeats),
            )
        details = {title: asdict(result) for title, result in results.items()}
        save_table(make_table(results), self.table, details=details)

    def _read_curves(self, name: str) -> dict[str, Curve]:
        task = TASKS[name]
        files = {LABELS[k]: self._offset_file(f'{name}_{k}') for k in LABELS}
        return read_curves(
            files, copied=LABELS['copy'], figure=task.figure, unit=task.unit
        )

    def _read_stream(self, model: str, figure: str) -> float:
        """Read a figure from the newest log of a test, JSON lines of mmengine."""
        folder = self.out / 'tests' / f'test_{model}'
        logs = sorted(folder.glob('*/*.json'))
        if not logs:
            raise FileNotFoundError(f'no figures in {folder}')
        return json.loads(logs[-1].read_text().splitlines()[-1])[figure]

    def _model(self, name: str) -> ModelFiles:
        path, weights = self.configs.path(name), self.configs.weights(name)
        return ModelFiles(str(path), str(weights), self.settings.interval)

    def _test_videos(self) -> list[Path]:
        return sorted((self.out / 'data/frames').glob('test_*'))

    def _offset_file(self, model: str) -> Path:
        return self.out / f'tests/offsets_{model}/by_offset.json'
