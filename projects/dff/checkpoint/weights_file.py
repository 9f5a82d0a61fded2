"""Write weights for `init_cfg=dict(type='Pretrained', checkpoint=...)`."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dff.files import write_atomically


def write_weights(
    state_dict: Mapping[str, Tensor], path: str | os.PathLike, **meta: Any
) -> None:
    """Write a checkpoint of weights atomically.

    Args:
        state_dict: Weights by name, of any shape.
        path: File to write.
        meta: Entries of the checkpoint's `meta`, such as the origin of the weights.
    """
    content = dict(meta=meta, state_dict=dict(state_dict))
    with write_atomically(path) as temporary:
        torch.save(content, temporary)
