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
    """Write a checkpoint of weights, atomically; `meta` says where they are from."""
    content = dict(meta=meta, state_dict=dict(state_dict))
    with write_atomically(path) as temporary:
        torch.save(content, temporary)
