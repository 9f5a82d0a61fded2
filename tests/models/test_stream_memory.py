"""A stream of any length needs the memory of a short one."""

import gc
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from wrapped_models import frame

import dff  # noqa: F401  (registers the classes)
from dff.engine.memory import keep_freed_memory

CONFIG = Path(__file__).resolve().parents[2] / 'configs/mini/dff_rfcn_r18_synthetic.py'
SIZE = (64, 96)
EARLY = 40  # frames


def live_tensors():
    """Count the storages that Python still holds, and their bytes."""
    gc.collect()
    held = {}
    for thing in gc.get_objects():
        if type(thing) in (torch.Tensor, torch.nn.Parameter):
            storage = thing.untyped_storage()
            held[storage.data_ptr()] = storage.nbytes()
    return len(held), sum(held.values())


def resident_bytes():
    pages = Path('/proc/self/statm').read_text().split()[1]
    return int(pages) * 4096


@pytest.mark.parametrize(
    'length', [120, pytest.param(10_000, marks=pytest.mark.slow)], ids=str
)
@torch.no_grad()
def test_memory_after_a_few_frames_and_after_many(length):
    cfg = Config.fromfile(CONFIG)
    init_default_scope('mmdet')
    cfg.model.propagation.flow_estimator.init_cfg = None
    model = MODELS.build(cfg.model).eval()
    images = [frame(seed, size=SIZE) for seed in range(7)]
    keep_freed_memory()
    keys, seen = 0, {}
    for index in range(length):
        sample = DetDataSample(
            metainfo=dict(
                video_id=0,
                frame_id=index,
                img_id=index,
                img_shape=SIZE,
                ori_shape=SIZE,
                scale_factor=(1.0, 1.0),
                batch_input_shape=SIZE,
                pad_shape=SIZE,
            )
        )
        data = dict(inputs=[images[index % len(images)]], data_samples=[sample])
        result = model.test_step(data)[0]
        keys += result.is_key_frame
        del result, data, sample
        if index + 1 in (EARLY, length):
            seen[index + 1] = live_tensors(), resident_bytes()
    assert keys == -(-length // 10)
    assert seen[length][0] == seen[EARLY][0]
    # what the allocator keeps for the next frame of another number of boxes
    assert seen[length][1] - seen[EARLY][1] < 8e6
