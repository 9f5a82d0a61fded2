"""Turn an image model into a video model by one call."""

from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmdet.models.detectors.base import BaseDetector
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmseg.models.segmentors.base import BaseSegmentor
from torch import nn

from .dff_video_detector import DFFVideoDetector
from .dff_video_segmentor import DFFVideoSegmentor
from .video_model import DFFVideoModel


def wrap(
    model: nn.Module | Config | str | Path | Any, interval: int = 10, **options: Any
) -> DFFVideoModel:
    """Build a video model around a detector of mmdet or a segmentor of mmseg.

    Key frames give what the model gives; on the other frames its maps are carried along
    by optical flow. Nothing has to be trained.

    Args:
        model: A built model, with which the video model shares its weights (from
            ``init_detector``, ``init_model``), an inferencer that holds one
            (``DetInferencer``), or a config or its path.
        interval: Key frame duration length l.
        options: Of :class:`DFFVideoDetector` or :class:`DFFVideoSegmentor`:
            ``propagation``, ``split``, ``key_frame_scheduler``, …. Cuts are found by
            default; ``cut_detector=None`` leaves them.

    Returns:
        The video model, on the device and in the mode of ``model``; ``cfg`` and
        ``dataset_meta`` are those of the model, where it has them.

    Raises:
        FileNotFoundError: If there is no such config.
        TypeError: If ``model`` is none of these.
        ValueError: If the model cannot be wrapped, see :class:`DFFVideoModel`.
    """
    options.setdefault('cut_detector', dict(type='CutDetector'))
    options.setdefault(
        'key_frame_scheduler', dict(type='FixedKeyFrameScheduler', interval=interval)
    )
    if isinstance(model, (str, Path)):
        model = read_config(model)
    if isinstance(model, Config):
        return _wrap_config(model, options)
    if not isinstance(model, nn.Module):
        model = getattr(model, 'model', model)
    is_training = getattr(model, 'training', False)
    if isinstance(model, BaseDetector):
        video = DFFVideoDetector(model, **options)
    elif isinstance(model, BaseSegmentor):
        video = DFFVideoSegmentor(model, **options)
    else:
        raise TypeError(
            'model must be a detector of mmdet, a segmentor of mmseg, an inferencer '
            f'with one, or a config, got {type(model).__name__}'
        )
    for name in ('cfg', 'dataset_meta'):
        if hasattr(model, name):
            setattr(video, name, getattr(model, name))
    parameter = next(model.parameters())
    return video.to(parameter.device).train(is_training)


def is_video_config(model: dict) -> bool:
    """Return whether the config of a model is that of a video model."""
    return bool({'detector', 'segmentor', 'propagation'} & set(model))


def wrap_config(model: dict, scope: str) -> dict:
    """Return the config of the video model around an image model's config.

    Args:
        model: Config of the image model.
        scope: ``'mmdet'`` or ``'mmseg'``, the registry of the model.

    Raises:
        ValueError: If the scope is another one.
    """
    kinds = {
        'mmdet': ('mmdet.DFFVideoDetector', 'detector'),
        'mmseg': ('mmseg.DFFVideoSegmentor', 'segmentor'),
    }
    if scope not in kinds:
        raise ValueError(f'default_scope must be one of {list(kinds)}, got {scope!r}')
    kind, name = kinds[scope]
    return {'type': kind, name: model}


def wrap_image_config(cfg: Config) -> bool:
    """Wrap the model of a config in place, if it is an image model.

    Returns:
        Whether it was one.

    Raises:
        ValueError: See :func:`wrap_config`.
    """
    if is_video_config(cfg.model):
        return False
    cfg.model = wrap_config(cfg.model, cfg.get('default_scope', 'mmdet'))
    return True


def _wrap_config(cfg: Config, options: dict) -> DFFVideoModel:
    scope = cfg.get('default_scope', 'mmdet')
    init_default_scope(scope)
    kind = wrap_config(cfg.model, scope)
    cls = DFFVideoDetector if 'detector' in kind else DFFVideoSegmentor
    video = cls(cfg.model, **options)
    video.cfg = cfg
    return video


def read_config(config: str | Path | Config) -> Config:
    """Read a config by its path or ``package::path``; copy one that is read.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If the package is not installed.
        TypeError: If ``config`` is neither a path nor a Config.
    """
    if isinstance(config, Config):
        return deepcopy(config)
    if not isinstance(config, (str, Path)):
        raise TypeError(
            f'config must be a path or a Config, got {type(config).__name__}'
        )
    package = str(config).partition('::')[0]
    if package != str(config):
        if find_spec(package) is None:  # mmengine would pip install it
            raise ModuleNotFoundError(f'{config}: package {package} is not installed')
        return get_config(str(config))
    if not Path(config).is_file():
        raise FileNotFoundError(f'config {config} does not exist')
    return Config.fromfile(config)
