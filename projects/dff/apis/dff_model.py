"""Build a DFF model from its config, for analysis."""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from dff.models.wrap import is_video_config, read_config, wrap_image_config


def build_dff_model(
    path: str | Path | Config,
    *,
    interval: int | None = None,
    options: dict[str, Any] | None = None,
    wraps: bool = False,
) -> nn.Module:
    """Build the model of a config with seeded random weights, in eval mode.

    Args:
        path: Config of a DFF model.
        interval: l of a fixed scheduler that replaces the config's scheduler.
        options: Config options to set, as `--cfg-options` passes them.
        wraps: Whether to wrap an image model, whose config is a path or
            `package::path`. Options then change the wrapped config (`model.split`).
            The heads of an image model get their initial weights, so that few scores
            pass a threshold, as in a trained model.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the config holds no DFF model, and is not to be wrapped.
    """
    cfg = read_config(path) if wraps else path
    is_wrapped = wraps and wrap_image_config(cfg)
    cfg = read_dff_config(cfg, options)
    if interval is not None:
        cfg.model.key_frame_scheduler = dict(
            type='mmengine.FixedKeyFrameScheduler', interval=interval
        )
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    torch.manual_seed(0)
    # init_weights is not called on backbones, so nothing is downloaded
    model = MODELS.build(cfg.model)
    if is_wrapped:
        for name, part in model.image_model.named_children():
            if name.endswith('head') and isinstance(part, BaseModule):
                part.init_weights()
    return model.eval()


def read_dff_config(
    config: str | Path | Config, options: dict[str, Any] | None = None
) -> Config:
    """Read the config of a DFF model and set `options` in it.

    Args:
        config: Config of a DFF model, or its path.
        options: Config options to set, as `--cfg-options` passes them.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the config holds no DFF model.
    """
    if not isinstance(config, Config):
        if not Path(config).is_file():
            raise FileNotFoundError(f'config {config} does not exist')
        config = Config.fromfile(config)
    config.merge_from_dict(options or {})
    if not is_video_config(config.model):
        raise ValueError(
            f'{config.filename or "the config"} must hold a DFF model, got '
            f'{config.model.type}'
        )
    return config


def parse_size(text: str) -> tuple[int, int]:
    """Parse an image size 'HxW' from the command line.

    Returns:
        (H, W) in pixels.

    Raises:
        argparse.ArgumentTypeError: If the text is no such size.
    """
    try:
        height, width = (int(side) for side in text.split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'expected HxW, got {text!r}') from None
    return height, width
