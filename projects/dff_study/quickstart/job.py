"""The quick start: synthetic videos, frame models, their DFF versions, what it gives.

Every training and test is a command, of `tools/train.py` or `tools/test.py` on a
config written to `OUT/configs`; each can be run again by hand.
"""

import json
import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from dff.converters.data import write_synthetic_set
from dff.files import write_json
from dff.visualization.offset_curves import Curve
from dff_study.jobs.steps import Step, run_command, run_steps

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

LANES = 2  # small models gain little from a second core: two of them gain all


class QuickStart:
    """The job, as steps that are skipped where they are done.

    Args:
        root: Folder that holds `configs` and `tools`.
        out: Folder to write.
        settings: Sizes and lengths.
    """

    def __init__(self, root: Path, out: Path, settings: Settings = FULL) -> None:
        self.root, self.out = root.resolve(), out.resolve()
        self.settings = settings
        self.configs = QuickStartConfigs(self.root, self.out, settings)
        self.videos = {
            task: self.out / name
            for task, name in dict(det='boxes.mp4', seg='labels.mp4').items()
            if task in settings.tasks
        }
        names = ('flow.jpg', 'offsets.png', 'results.md')
        self.flow, self.curves, self.table = (self.out / name for name in names)
        cores = len(os.sched_getaffinity(0))
        self.lanes = min(LANES, cores)
        self.threads = cores // self.lanes

    def run(self) -> None:
        """Do what is not done yet.

        Raises:
            ValueError: The folder holds a run with other settings.
            StepError: A step failed.
        """
        self._claim()
        self.configs.write()
        run_steps(self._steps(), self.out, lanes=self.lanes)

    def _claim(self) -> None:
        """Refuse a folder in which other settings were at work."""
        path, ours = self.out / 'settings.json', asdict(self.settings)
        if path.is_file() and json.loads(path.read_text()) != json.loads(
            json.dumps(ours)
        ):
            raise ValueError(
                f'{self.out} holds a run with other settings (settings.json): delete '
                'it, or choose another folder with --out'
            )
        write_json(ours, path)

    def _steps(self) -> list[Step]:
        tasks = self.settings.tasks
        sets = tuple(self.out / f'data/annotations/{n}.json' for n in ('train', 'test'))
        steps = [Step('data', 'make synthetic videos', self._make_data, sets)]
        steps += self._trainings()
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
        """Give the trainings; the slow ones first, so that no lane waits long."""
        tasks = self.settings.tasks
        models = {f'{t}_frame': f'train Frame, {TASKS[t].title}' for t in tasks}
        models['flow'] = 'pre-train a FlowNet on the videos (no labels)'
        models |= {f'{t}_dff': f'train DFF, {TASKS[t].title}' for t in tasks}
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

    def _make_data(self, step: Step, log: Path) -> None:
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

    def _train(self, model: str, step: Step, log: Path) -> None:
        is_begun = (self.out / model / 'last_checkpoint').is_file()
        self._tool('train.py', model, *(['--resume'] if is_begun else []), log=log)

    def _test(self, model: str, step: Step, log: Path, *options: str) -> None:
        weights = str(self.configs.weights(model))
        work_dir = ('--work-dir', str(self.out / 'tests' / step.name))
        self._tool('test.py', model, weights, *work_dir, *options, log=log)

    def _test_offsets(self, model: str, step: Step, log: Path) -> None:
        options = ['--offsets', str(self.settings.interval)]
        options += ['--offsets-out', str(self._offset_file(model))]
        self._test(model, step, log, *options)

    def _tool(self, tool: str, model: str, *options: str, log: Path) -> None:
        script, config = self.root / 'tools' / tool, self.configs.path(model)
        command = [sys.executable, str(script), str(config), *options]
        run_command(command, log, cwd=self.out, threads=self.threads)

    def _write_video(self, task: str, step: Step, log: Path) -> None:
        save_demo(self._model(f'{task}_dff'), self._test_videos(), self.videos[task])

    def _draw_flow(self, step: Step, log: Path) -> None:
        task = self.settings.tasks[0]
        models = {LABELS[kind]: self._model(f'{task}_{kind}') for kind in LABELS}
        del models[LABELS['copy']]
        save_flow_picture(models, self._test_videos()[0], self.flow)

    def _plot(self, step: Step, log: Path) -> None:
        curves = {
            f'{TASKS[task].title}, {TASKS[task].label}': self._read_curves(task)
            for task in self.settings.tasks
        }
        save_curves(curves, self.curves)

    def _tabulate(self, step: Step, log: Path) -> None:
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
        details = {title: asdict(found) for title, found in results.items()}
        print(save_table(make_table(results), self.table, details=details))

    def _read_curves(self, name: str) -> dict[str, Curve]:
        task = TASKS[name]
        files = {LABELS[k]: self._offset_file(f'{name}_{k}') for k in LABELS}
        return read_curves(
            files, copied=LABELS['copy'], figure=task.figure, unit=task.unit
        )

    def _read_stream(self, model: str, figure: str) -> float:
        """Read a figure off the newest log of a test, mmengine's json lines."""
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
