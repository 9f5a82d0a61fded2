"""Arithmetic and memory of a training step, against what is counted by hand."""

from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS, DefaultScope
from torch import nn

import dff  # noqa: F401  (registers the classes)
from dff.cost.training_cost import StepCost, make_training_data, measure_step

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
H, W = 12, 20


class Toy(BaseModel):
    """Two 3 x 3 convolutions; the first may be frozen."""

    def __init__(self, *, is_frozen):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.second = nn.Conv2d(4, 5, 3, padding=1, bias=False)
        self.first.weight.requires_grad_(not is_frozen)

    def forward(self, inputs, data_samples=None, mode='loss'):
        images = torch.stack(inputs).float()
        return dict(loss=self.second(self.first(images)).sum())


@pytest.mark.parametrize('is_frozen', [False, True])
def test_backward_is_counted_where_something_is_trained(is_frozen):
    model = Toy(is_frozen=is_frozen)
    image = torch.zeros(3, H, W, dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[DetDataSample()])
    cost = measure_step(model, data)
    first, second = 9 * 3 * 4 * H * W, 9 * 4 * 5 * H * W
    if is_frozen:  # forward; gradient of the second's weights
        assert cost.macs == first + 2 * second
        kept = 4 * H * W  # input of the second
    else:  # also of the second's input and of the first's weights
        assert cost.macs == 2 * first + 3 * second
        kept = (3 + 4) * H * W
    assert cost.kept == 4 * kept  # float32, weights not counted
    sizes = dict(first=9 * 3 * 4, second=9 * 4 * 5)
    assert cost.weights == 4 * sum(sizes.values())
    assert cost.trained == 4 * (sizes['second'] + (not is_frozen) * sizes['first'])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_hours_and_memory_by_hand():
    cost = StepCost(macs=10**12, kept=100, weights=30, trained=20)
    # 7200 samples of 2e12 operations, on 4 devices at 1e12 a second
    assert cost.hours(7200, num_gpus=4, tflops=1.0) == pytest.approx(1.0)
    assert cost.memory(3) == 30 + 20 + 20 + 300
    with pytest.raises(ValueError, match='tflops > 0, got 4 and 0'):
        cost.hours(1, num_gpus=4, tflops=0)


@pytest.mark.parametrize('name', ['mini/dff_rfcn_r18', 'mini/frame_fcn_r18'])
def test_a_pair_and_a_label_map_train(name):
    """Data as a loader gives them: detection in pairs, segmentation in frames."""
    cfg = Config.fromfile(CONFIGS / f'{name}_synthetic.py')
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
        data = make_training_data(model, (96, 128))
        assert isinstance(data['inputs'], dict) == hasattr(model, 'propagation')
        cost = measure_step(model, data)
    assert cost.macs > 0 and cost.kept > 0
    assert cost.trained <= cost.weights
