"""The model of a config, made ready to be checked."""

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

from .inputs import prepare_config, randomise


def build_to_check(
    config: str | Path | Config,
    *,
    size: tuple[int, int],
    checkpoint: str | Path | None = None,
    options: dict[str, Any] | None = None,
) -> nn.Module:
    """Build the model of a config on the CPU, in eval mode; nothing is downloaded.

    Args:
        config: Config of a DFF model, or its path.
        size: (H, W) of the frames that random weights are fitted to.
        checkpoint: Weights; None gives random ones, each time the same.
        options: What to set in the config, as ``--cfg-options`` gives it.

    Raises:
        FileNotFoundError: There is no such config or checkpoint.
        ValueError: The config holds no DFF model.
    """
    config = read_dff_config(config, options)
    if checkpoint is not None and not Path(checkpoint).is_file():
        raise FileNotFoundError(f'checkpoint {checkpoint} does not exist')
    init_default_scope(config.get('default_scope', 'mmdet'))
    prepare_config(config.model)
    with quiet(), warnings.catch_warnings():  # not every layer's weights
        warnings.simplefilter('ignore')  # of mmdet and mmseg, about their own parts
        torch.manual_seed(0)
        model = revert_sync_batchnorm(MODELS.build(config.model))
        model.init_weights()
    if checkpoint is None:
        randomise(model, size=size)
    else:
        load_checkpoint(model, str(checkpoint), map_location='cpu')
    return model.eval()
