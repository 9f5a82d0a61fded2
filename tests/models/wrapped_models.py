"""What the tests of wrapped detectors and segmentors share."""

import torch
from torch import nn

from dff.checks.inputs import random_frame

SIZE = (128, 192)


class ConstantFlow(nn.Module):
    """F that answers one flow, given in image pixels, everywhere; S = 1."""

    def __init__(self, strides, flow):
        super().__init__()
        self.strides, self.pixels = tuple(strides), flow
        self.flow_stride = max(8, min(strides))
        self.calls = 0

    def forward(self, cur, key, levels=None):
        self.calls += 1
        n, _, height, width = cur.shape
        size = -(-height // self.flow_stride), -(-width // self.flow_stride)
        flow = torch.tensor(self.pixels) / self.flow_stride
        return flow.view(1, 2, 1, 1).expand(n, 2, *size), None


def randomise(model):
    """Give every layer weights that a random image tells apart."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            fan = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(2 / fan) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # mmdet's ResNet starts some at 0, frozen


def frame(seed, *, size=SIZE):
    return random_frame(seed, size)
