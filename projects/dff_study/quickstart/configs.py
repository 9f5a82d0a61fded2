"""Configs of the quick start: the shipped ones, with its data and folders."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dff.files import write_atomically

FLOW = 'flow/flownets_quarter_chained_synthetic.py'
# Models with key frames. Those without a flow network need no training: they use the
# weights of Frame.
LABELS = dict(dff='DFF, FlowNet', dis='DFF, DIS flow', copy='key features copied')


@dataclass(frozen=True)
class Task:
    """Detection or segmentation.

    Attributes:
        title: Name to show.
        stem: MODEL in `mini/frame_MODEL_synthetic.py`, the shipped config.
        wrapped: Name of the image model in the video model.
        stride: Of the features.
        metric: Config of the metric of the tests.
        figure: Figure of the metric to show.
        label: Name of the figure to show.
        unit: Factor of the figure.
        starts_from: Task whose Frame backbone this Frame starts from.
    """

    title: str
    stem: str
    wrapped: str
    stride: int
    metric: Mapping[str, Any]
    figure: str
    label: str
    unit: float = 1.0
    starts_from: str | None = None

    def base(self, kind: str) -> str:
        """Return the shipped config of a kind of model, from the folder of configs."""
        if kind == 'frame':
            return f'mini/frame_{self.stem}_synthetic.py'
        middle = '' if kind == 'dff' else '_dis'
        return f'mini/dff_{self.stem}{middle}_synthetic.py'


TASKS = dict(
    det=Task(
        title='detection',
        stem='rfcn_r18',
        wrapped='detector',
        stride=16,
        metric=dict(type='VIDMetric'),
        figure='vid/AP50',
        label='AP50',
    ),
    seg=Task(
        title='segmentation',
        stem='fcn_r18',
        wrapped='segmentor',
        stride=8,
        metric=dict(type='VideoMetric', metric=dict(type='SegIoUMetric')),
        figure='mIoU',
        label='mIoU',
        unit=0.01,
        starts_from='det',
    ),
)


@dataclass(frozen=True)
class Settings:
    """All that decides the results.

    Attributes:
        size: (width, height) of the videos.
        train: Number of training videos and frames of each.
        test: The same for testing.
        speed: Of the shapes: at 0.5 they move by up to 20 pixels within l frames.
        interval: l, also the number of offsets.
        iterations: Of each training; None uses those of its config.
        batch_size: Of each training; None likewise.
        repeats: Number of timed rounds of l frames.
        tasks: Keys of `TASKS`.
    """

    size: tuple[int, int] = (256, 192)
    train: tuple[int, int] = (120, 12)
    test: tuple[int, int] = (4, 30)
    speed: float = 0.5
    interval: int = 10
    iterations: int | None = None
    batch_size: int | None = None
    repeats: int = 5
    tasks: tuple[str, ...] = tuple(TASKS)

    def frame_tasks(self) -> list[str]:
        """Return the tasks whose Frame is trained: `tasks` and what they start from."""
        starts = [TASKS[task].starts_from for task in self.tasks]
        return [task for task in TASKS if task in (*self.tasks, *starts)]


FULL = Settings()
SMOKE = Settings(
    size=(128, 96),
    train=(1, 12),
    test=(1, 11),
    iterations=2,
    batch_size=2,
    repeats=1,
)


class QuickStartConfigs:
    """Configs of all models, `TASK_KIND` (kinds: frame and those of LABELS) and `flow`.

    Args:
        root: Folder that holds `configs`.
        out: Folder of the quick start.
        settings: Sizes and lengths.
    """

    def __init__(self, root: Path, out: Path, settings: Settings) -> None:
        self.root, self.out, self.settings = root, out, settings

    def path(self, name: str) -> Path:
        """Return the config of a model."""
        return self.out / 'configs' / f'{name}.py'

    def last(self, name: str) -> Path:
        """Return the last checkpoint of a training."""
        last = self.settings.iterations
        if last is None:
            shipped = self.root / 'configs' / self._base(name)
            last = Config.fromfile(shipped).train_cfg.max_iters
        return self.out / name / f'iter_{last}.pth'

    def weights(self, name: str) -> Path:
        """Return the checkpoint with which a model is tested."""
        task, kind = name.split('_')
        return self.last(name if kind == 'dff' else f'{task}_frame')

    def write(self) -> None:
        """Write all configs; those that start from others come after them."""
        self._write('flow', self._flow_changes())
        for name in self.settings.frame_tasks():
            kinds = ('frame', *LABELS) if name in self.settings.tasks else ('frame',)
            for kind in kinds:
                self._write(f'{name}_{kind}', self._task_changes(name, kind))

    def _base(self, name: str) -> str:
        """Return the shipped config of a model, from the folder of configs."""
        if name == 'flow':
            return FLOW
        task, kind = name.split('_')
        return TASKS[task].base(kind)

    def _write(self, name: str, changes: dict[str, Any]) -> None:
        path = str(self.root / 'configs' / self._base(name))
        text = f'_base_ = {path!r}\n{Config(changes).pretty_text}'
        with write_atomically(self.path(name)) as temporary:
            temporary.write_text(text)

    def _common(self, name: str) -> dict[str, Any]:
        """Return the changes of each training."""
        given = self.settings
        dataset = dict(dataset=dict(data_root=f'{self.out}/data/'))
        train: dict[str, Any] = dict(dataset=dataset)
        if given.batch_size is not None:
            train['batch_size'] = given.batch_size
        changes = dict(train_dataloader=train, work_dir=str(self.out / name))
        if given.iterations is not None:
            changes['train_cfg'] = dict(max_iters=given.iterations)
            changes['param_scheduler'] = []
        return changes

    def _flow_changes(self) -> dict[str, Any]:
        changes = self._common('flow')
        changes['train_dataloader']['dataset']['crop_size'] = self.settings.size[::-1]
        return changes

    def _task_changes(self, name: str, kind: str) -> dict[str, Any]:
        task = TASKS[name]
        changes = self._common(f'{name}_{kind}')
        data = dict(data_root=f'{self.out}/data/')
        changes['test_dataloader'] = dict(dataset=dict(dataset=data))
        changes['test_evaluator'] = [dict(task.metric)]
        # tests are separate steps
        changes.update(dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')))
        model: dict[str, Any] = {}
        if task.starts_from is not None:
            start = dict(checkpoint=str(self.last(f'{task.starts_from}_frame')))
            model = dict(backbone=dict(init_cfg=start))
            model = model if kind == 'frame' else {task.wrapped: model}
        if kind == 'dff':
            start = dict(checkpoint=str(self.last('flow')))
            model['propagation'] = dict(flow_estimator=dict(init_cfg=start))
            changes['load_from'] = str(self.last(f'{name}_frame'))
        if kind == 'copy':
            zero = dict(_delete_=True, type='ZeroFlow', strides=(task.stride,))
            model['propagation'] = dict(flow_estimator=zero)
        if model:
            changes['model'] = model
        return changes
