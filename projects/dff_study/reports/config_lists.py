"""Lists of the configs of a folder: for its README, and as models of its metafile."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

import dff  # noqa: F401  (`_base_ = 'dff::...'` and the wrapped configs need it)
from dff.markdown import to_markdown

TASKS = {'mmdet': 'Video Object Detection', 'mmseg': 'Video Semantic Segmentation'}
UNITS = dict(max_iters='iterations', max_epochs='epochs')
FLOW_TASK = 'Optical Flow Estimation'
Results = Mapping[str, Sequence[tuple[str, Mapping[str, float]]]]


def list_configs(root: Path, folder: str) -> str:
    """Write the table of the configs in `configs/FOLDER`, with links beside them.

    Raises:
        ValueError: The folder holds none.
    """
    rows = []
    for path in _configs(root, folder):
        name = f'[{path.stem}]({path.name})'
        rows.append([name, describe(path), _length(_load(path)) or '-'])
    return to_markdown(['Config', 'What it is', 'Schedule'], rows)


def describe(path: Path) -> str:
    """Return the comment at the head of a config, or name the one it inherits."""
    text, lines = path.read_text(encoding='utf-8'), []
    for line in text.splitlines():
        if not line.startswith('#'):
            break
        lines.append(line.removeprefix('#').strip())
    if not lines:
        base = re.match(r"_base_ = '(.*)'", text)
        return f'Changes {Path(base[1]).stem}.' if base else '-'
    return ' '.join(lines).replace('|', '\\|')


def write_models(root: Path, folder: str, collection: str, results: Results) -> str:
    """Write `Models:` of a metafile: a model a config.

    Args:
        root: Of the repository.
        folder: Of `configs`.
        collection: Name of the metafile's collection.
        results: By config: data sets and their figures.

    Raises:
        ValueError: Results are of a config that does not exist.
    """
    models = []
    for path in _configs(root, folder):
        name = path.relative_to(root).as_posix()
        models.append(_model(path, name, collection))
        if found := results.get(name):
            task = models[-1]['Metadata']['Task']
            models[-1]['Results'] = [
                {'Task': task, 'Dataset': data, 'Metrics': dict(figures)}
                for data, figures in found
            ]
    missing = [name for name in results if not (root / name).is_file()]
    if missing:
        raise ValueError(f'docs/runs has results of {missing}, which do not exist')
    return yaml.safe_dump({'Models': models}, sort_keys=False, width=88)


@lru_cache(maxsize=None)
def _load(path: Path) -> Config:
    return Config.fromfile(path)


def _configs(root: Path, folder: str) -> list[Path]:
    paths = sorted((root / 'configs' / folder).glob('*.py'))
    if not paths:
        raise ValueError(f'configs/{folder} holds no configs')
    return paths


def _model(path: Path, name: str, collection: str) -> dict[str, Any]:
    cfg = _load(path)
    metadata: dict[str, Any] = {'Task': _task(cfg)}
    train = cfg.get('train_cfg') or {}
    for key, unit in UNITS.items():
        if train.get(key):
            metadata[unit.capitalize()] = train[key]
            metadata['Batch Size'] = cfg.train_dataloader.batch_size
    return {
        'Name': path.stem,
        'In Collection': collection,
        'Config': name,
        'Metadata': metadata,
    }


def _task(cfg: Config) -> str:
    model = cfg.model.type
    if 'Flow' in model:
        return FLOW_TASK
    return TASKS[cfg.default_scope]


def _length(cfg: Config) -> str | None:
    train = cfg.get('train_cfg') or {}
    for key, unit in UNITS.items():
        if train.get(key):
            return f'{train[key]:,} {unit}'
    return None
