"""Build the model of a config for a check."""

import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from torch import nn

from dff.apis.dff_model import read_dff_config
from dff.evaluation.video_metric import quiet
from dff.models.wrap import read_config, wrap_image_config

from .inputs import prepare_config, randomise


def build_to_check(
    config: str | Path | Config,
    *,
    size: tuple[int, int],
    checkpoint: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> nn.Module:
    """Build the model of a config on the CPU, in eval mode, without downloads.

    Args:
        config: Config of a DFF model or of an image model to wrap, or its path or
            `package::path`.
        size: (H, W) of the frames from which BN statistics are computed if the
            weights are random.
        checkpoint: File of weights; None means seeded random weights.
        options: Config options to set, as ``--cfg-options`` passes them.

    Raises:
        FileNotFoundError: If there is no such config or checkpoint.
        ValueError: If the model cannot be built, or not be wrapped.
    """
    config = read_config(config)
    wrap_image_config(config)
    config = read_dff_config(config, options)
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(f'checkpoint {checkpoint} does not exist')
    init_default_scope(config.get('default_scope', 'mmdet'))
    prepare_config(config.model)
    with quiet(), warnings.catch_warnings():  # quiet: no log line per layer
        warnings.simplefilter('ignore')  # mmdet and mmseg warn of their own parts
        torch.manual_seed(0)
        model = revert_sync_batchnorm(MODELS.build(config.model))
        model.init_weights()
    if checkpoint is None:
        randomise(model, size=size)
    else:
        load_checkpoint(model, str(checkpoint), map_location='cpu')
    return model.eval()
