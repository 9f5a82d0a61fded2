"""The quick start: synthetic videos, a frame detector, its DFF version, what it gives.

Every training and test is a command, of `tools/train.py` or `tools/test.py` on a
config written to `OUT/configs`; each can be run again by hand.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..datasets.converters import write_synthetic_set
from .atomic import write_atomically, write_json
from .quickstart_report import (
    FIGURE,
    ModelFiles,
    make_table,
    read_curves,
    save_curves,
    save_demo,
    save_flow_picture,
    save_table,
    time_models,
)
from .steps import Step, run_command, run_steps

BASES = dict(
    frame='mini/frame_rfcn_r18_synthetic.py',
    flow='flow/flownets_quarter_chained_synthetic.py',
    dff='mini/dff_rfcn_r18_synthetic.py',
    dis='mini/dff_rfcn_r18_dis_synthetic.py',
    copy='mini/dff_rfcn_r18_dis_synthetic.py',
)
TRAININGS = dict(
    frame='train the frame detector',
    flow='pre-train a FlowNet on the videos (no labels)',
    dff='train DFF from both',
)
# The models with key frames. Those that have no flow network have nothing to train:
# they run on the weights of Frame.
LABELS = dict(dff='DFF, FlowNet', dis='DFF, DIS flow', copy='key features copied')


@dataclass(frozen=True)
class Settings:
    """What decides the results.

    Attributes:
        size: (width, height) of the videos.
        train: Number of training videos and frames of each.
        test: The same for testing.
        speed: Of the shapes: at 0.5 they move by up to 20 pixels within l frames.
        interval: l, also the number of offsets.
        iterations: Of each training; None is what its config says.
        batch_size: Of each training, likewise.
        repeats: Rounds of l frames that are timed.
    """

    size: tuple[int, int] = (256, 192)
    train: tuple[int, int] = (120, 12)
    test: tuple[int, int] = (4, 30)
    speed: float = 0.5
    interval: int = 10
    iterations: int | None = None
    batch_size: int | None = None
    repeats: int = 5


FULL = Settings()
SMOKE = Settings(
    size=(128, 96),
    train=(1, 12),
    test=(1, 11),
    iterations=2,
    batch_size=2,
    repeats=1,
)


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
        names = ('demo.mp4', 'flow.jpg', 'offsets.png', 'results.md')
        self.video, self.flow, self.curves, self.table = (
            self.out / name for name in names
        )

    def run(self) -> None:
        """Do what is not done yet.

        Raises:
            ValueError: The folder holds a run with other settings.
            StepError: A step failed.
        """
        self._claim()
        self._write_configs()
        run_steps(self._steps(), self.out)

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
        sets = tuple(self.out / f'data/annotations/{n}.json' for n in ('train', 'test'))
        steps = [Step('data', 'make synthetic videos', self._make_data, sets)]
        for name, title in TRAININGS.items():
            steps.append(Step(f'train_{name}', title, self._train, (self._last(name),)))
        for name in ('frame', *LABELS):
            title = f'test on the stream: {LABELS.get(name, "Frame")}'
            steps.append(Step(f'test_{name}', title, self._test))
        for name, label in LABELS.items():
            step = f'offsets_{name}'
            out = (self._offset_file(name),)
            steps.append(Step(step, f'test by offset: {label}', self._test, out))
        return [
            *steps,
            Step('demo', 'write a video', self._write_video, (self.video,)),
            Step('flow', 'draw a flow', self._draw_flow, (self.flow,)),
            Step('curves', 'plot accuracy by offset', self._plot, (self.curves,)),
            Step('table', 'time the models', self._tabulate, (self.table,)),
        ]

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

    def _train(self, step: Step, log: Path) -> None:
        name = step.name.removeprefix('train_')
        resume = ['--resume'] if (self.out / name / 'last_checkpoint').is_file() else []
        self._tool('train.py', name, *resume, log=log)

    def _test(self, step: Step, log: Path) -> None:
        name = step.name.split('_')[1]
        config = name if step.name.startswith('test_') else step.name
        work_dir = ['--work-dir', str(self._test_dir(step.name))]
        self._tool('test.py', config, str(self.weights(name)), *work_dir, log=log)

    def _tool(self, tool: str, config: str, *options: str, log: Path) -> None:
        script, path = self.root / 'tools' / tool, self.config(config)
        run_command(
            [sys.executable, str(script), str(path), *options], log, cwd=self.out
        )

    def _write_video(self, step: Step, log: Path) -> None:
        save_demo(self._model('dff'), self._test_videos(), self.video)

    def _draw_flow(self, step: Step, log: Path) -> None:
        models = {LABELS[name]: self._model(name) for name in ('dff', 'dis')}
        save_flow_picture(models, self._test_videos()[0], self.flow)

    def _plot(self, step: Step, log: Path) -> None:
        save_curves(self._read_curves(), self.curves)

    def _tabulate(self, step: Step, log: Path) -> None:
        models = {label: self._model(name) for name, label in LABELS.items()}
        speeds = time_models(
            models, self._test_videos()[0], repeats=self.settings.repeats
        )
        streams = {
            label: self._read_stream(name)
            for name, label in dict(frame='Frame', **LABELS).items()
        }
        curves = self._read_curves()
        rows = make_table(streams, curves, speeds)
        details = dict(streams=streams, offsets=curves, speeds=speeds)
        print(save_table(rows, self.table, details=details))

    def _read_curves(self) -> dict[str, dict[int, float]]:
        files = {label: self._offset_file(name) for name, label in LABELS.items()}
        return read_curves(files, copied=LABELS['copy'])

    def _read_stream(self, name: str) -> float:
        """Read AP50 off the newest log of a test, mmengine's json lines."""
        logs = sorted(self._test_dir(f'test_{name}').glob('*/*.json'))
        if not logs:
            raise FileNotFoundError(f'no figures in {self._test_dir(f"test_{name}")}')
        return json.loads(logs[-1].read_text().splitlines()[-1])[FIGURE]

    def _model(self, name: str) -> ModelFiles:
        return ModelFiles(
            str(self.config(name)), str(self.weights(name)), self.settings.interval
        )

    def _test_videos(self) -> list[Path]:
        return sorted((self.out / 'data/frames').glob('test_*'))

    def weights(self, name: str) -> Path:
        """Return the checkpoint that a model is tested with."""
        return self._last('dff' if name == 'dff' else 'frame')

    def _last(self, name: str) -> Path:
        """Return the checkpoint that a training ends with."""
        last = Config.fromfile(self.config(name)).train_cfg.max_iters
        return self.out / name / f'iter_{last}.pth'

    def config(self, name: str) -> Path:
        """Return the config of a model or test of the quick start."""
        return self.out / 'configs' / f'{name}.py'

    def _test_dir(self, step: str) -> Path:
        return self.out / 'tests' / step

    def _offset_file(self, name: str) -> Path:
        return self._test_dir(f'offsets_{name}') / 'by_offset.json'

    def _write_configs(self) -> None:
        for name, base in BASES.items():
            path = self.root / 'configs' / base
            self._write_config(name, path, self._changes(name))
        offsets = list(range(self.settings.interval))
        for name in LABELS:
            metric = dict(
                _delete_=True,
                type='PerOffsetMetric',
                metric=dict(type='VIDMetric'),
                offsets=offsets,
                out_file=str(self._offset_file(name)),
            )
            changes = dict(
                test_dataloader=dict(dataset=dict(test_offsets=offsets)),
                test_evaluator=metric,
            )
            self._write_config(f'offsets_{name}', self.config(name), changes)

    def _write_config(self, name: str, base: Path, changes: dict[str, Any]) -> None:
        text = f'_base_ = {str(base)!r}\n{Config(changes).pretty_text}'
        with write_atomically(self.config(name)) as temporary:
            temporary.write_text(text)

    def _changes(self, name: str) -> dict[str, Any]:
        """Give what a config of the quick start changes in the shipped one."""
        given = self.settings
        loader = dict(dataset=dict(dataset=dict(data_root=f'{self.out}/data/')))
        train = dict(loader)
        if given.batch_size is not None:
            train['batch_size'] = given.batch_size
        changes = dict(train_dataloader=train, work_dir=str(self.out / name))
        if given.iterations is not None:
            changes['train_cfg'] = dict(max_iters=given.iterations)
            changes['param_scheduler'] = []
        if name == 'flow':
            train['dataset'] = dict(loader['dataset'], crop_size=given.size[::-1])
            return changes
        changes['test_dataloader'] = loader
        # The tests have steps of their own.
        changes.update(dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')))
        if name == 'dff':
            flow = str(self._last('flow'))
            init = dict(type='Pretrained', checkpoint=flow, prefix='flow_estimator.')
            changes['model'] = dict(
                propagation=dict(flow_estimator=dict(init_cfg=init))
            )
            changes['load_from'] = str(self._last('frame'))
        if name == 'copy':
            zero = dict(_delete_=True, type='ZeroFlow', strides=(16,))
            changes['model'] = dict(propagation=dict(flow_estimator=zero))
        return changes
