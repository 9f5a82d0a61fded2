"""Build a video model from separately trained parts."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import CheckpointLoader

from dff.files import write_atomically


def join_checkpoints(config: str | Path, frame: str | Path, out: str | Path) -> int:
    """Write a checkpoint of a video model whose parts were trained separately.

    The flow network is initialised by its ``init_cfg``, the image model by ``frame``:
    this is the paper's "separate" (Tab. 3).

    Args:
        config: Config of the video model.
        frame: Checkpoint of the image model.
        out: File to write.

    Returns:
        Number of tensors written.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If ``frame`` is of another model.
    """
    for path in (config, frame):
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path} does not exist')
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    model = MODELS.build(cfg.model)
    model.image_model.init_cfg = None  # its weights come from `frame`
    for child in model.image_model.modules():
        if getattr(child, 'init_cfg', None):
            child.init_cfg = None
    model.init_weights()
    checkpoint = CheckpointLoader.load_checkpoint(str(frame), map_location='cpu')
    state = checkpoint.get('state_dict', checkpoint)
    model.load_state_dict(state, strict=False)  # raises for other models' weights
    content = dict(
        state_dict=model.state_dict(),
        meta=dict(dataset_meta=checkpoint.get('meta', {}).get('dataset_meta')),
    )
    with write_atomically(out) as temporary:
        torch.save(content, temporary)
    return len(content['state_dict'])
