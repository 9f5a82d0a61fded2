"""The authors' network once more, straight from the release's names and layouts.

Plain functions of torch on MXNet's arrays; nothing of the package. It stands in for the
authors' own numbers at sizes and weights of which there are none.
"""

import numpy as np
import torch
from torch.nn import functional as F

BLOCKS = {2: 'abc', 3: ['a', *(f'b{i}' for i in range(1, 4))]}
BLOCKS |= {4: ['a', *(f'b{i}' for i in range(1, 23))], 5: 'abc'}


class ReleasedNetwork:
    def __init__(self, arrays):
        """Arrays by name, with arg: and aux:."""
        self.weights = {k[4:]: torch.from_numpy(v) for k, v in arrays.items()}

    @torch.no_grad()
    def __call__(self, key, cur, rois):
        """Frames (1, 3, H, W), RGB minus the means, and RoIs (R, 5), as arrays."""
        key, cur = torch.from_numpy(key), torch.from_numpy(cur)
        feats = self.features(key)
        flow, scale = self.flow(cur, key)
        warped = warp(feats, flow) * scale
        rpn, rfcn = warped[:, :512], warped[:, 512:]
        found = dict(key_feats=feats, flow=flow, scale=scale, warped=warped)
        for name in ('rpn_cls_score', 'rpn_bbox_pred'):
            found[name] = self.conv(name, rpn)
        for name in ('rfcn_cls', 'rfcn_bbox'):
            found[name] = self.conv(name, rfcn)
        found = {name: value.numpy() for name, value in found.items()}
        found['ps_cls'] = pool(found['rfcn_cls'], rois)
        found['ps_bbox'] = pool(found['rfcn_bbox'], rois)
        return dict(found, data_key=key.numpy(), data_cur=cur.numpy(), rois=rois)

    def conv(self, name, x, **kwargs):
        bias = self.weights.get(f'{name}_bias')
        return F.conv2d(x, self.weights[f'{name}_weight'], bias, **kwargs)

    def norm(self, name, x):
        leaves = ('moving_mean', 'moving_var', 'gamma', 'beta')
        return F.batch_norm(x, *(self.weights[f'{name}_{leaf}'] for leaf in leaves))

    def layer(self, place, x, **kwargs):
        return self.norm(f'bn{place}', self.conv(f'res{place}', x, **kwargs))

    def features(self, x):
        x = self.norm('bn_conv1', self.conv('conv1', x, stride=2, padding=3))
        x = F.max_pool2d(x.relu(), 3, 2, 1)
        for stage, blocks in BLOCKS.items():
            dilation = 2 if stage == 5 else 1
            for index, block in enumerate(blocks):
                place = f'{stage}{block}_branch'
                stride = 2 if stage in (3, 4) and not index else 1
                y = self.layer(f'{place}2a', x, stride=stride).relu()
                y = self.layer(f'{place}2b', y, padding=dilation, dilation=dilation)
                y = self.layer(f'{place}2c', y.relu())
                if not index:
                    x = self.layer(f'{place}1', x, stride=stride)
                x = (x + y).relu()
        return self.conv('feat_conv_3x3', x, padding=6, dilation=6).relu()

    def flow(self, cur, key):
        x = F.avg_pool2d(torch.cat([cur / 255, key / 255], 1), 2, ceil_mode=True)
        skips = {}
        layers = (
            'flow_conv1 conv2 conv3 conv3_1 conv4 conv4_1 conv5 conv5_1 conv6 conv6_1'
        )
        for name in layers.split():
            size = self.weights[f'{name}_weight'].shape[-1]
            stride = 1 if name.endswith('_1') else 2
            x = F.leaky_relu(self.conv(name, x, stride=stride, padding=size // 2), 0.1)
            skips[name] = x
        for index, skip in enumerate(['conv5_1', 'conv4_1', 'conv3_1', 'conv2']):
            level, skip = 5 - index, skips[skip]
            flow = self.conv(f'Convolution{index + 1}', x, padding=1)
            up = F.leaky_relu(self.deconv(f'deconv{level}', x, skip), 0.1)
            flow = self.deconv(f'upsample_flow{level + 1}to{level}', flow, skip)
            x = torch.cat([skip, up, flow], 1)
        x = F.avg_pool2d(x, 2, ceil_mode=True)
        flow = self.conv('Convolution5', x, padding=1) * 2.5
        return flow, self.conv('Convolution5_scale', x)

    def deconv(self, name, x, like):
        weight, bias = (self.weights[f'{name}_{leaf}'] for leaf in ('weight', 'bias'))
        out = F.conv_transpose2d(x, weight, bias, stride=2)
        return out[:, :, 1 : 1 + like.shape[2], 1 : 1 + like.shape[3]]


def warp(feat, flow):
    """Exact grid, zero outside; the first channel of the flow is x."""
    h, w = feat.shape[-2:]
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
    grid = torch.stack([xs + flow[0, 0], ys + flow[0, 1]], -1)
    grid = grid / (torch.tensor([w - 1, h - 1]) / 2) - 1
    return F.grid_sample(feat, grid[None], align_corners=True)


def pool(maps, rois, bins=7):
    """Position-sensitive pooling, bin by bin; channels are (class, row, column)."""
    maps = maps[0].reshape(-1, bins, bins, *maps.shape[2:])
    height, width = maps.shape[-2:]
    out = np.zeros((len(rois), len(maps), bins, bins), np.float32)
    for index, roi in enumerate(rois):
        corners = [float(np.floor(abs(x) + 0.5) * np.sign(x)) for x in roi[1:]]
        x1, y1 = corners[0] / 16, corners[1] / 16
        x2, y2 = (corners[2] + 1) / 16, (corners[3] + 1) / 16
        cell_w, cell_h = max(x2 - x1, 0.1) / bins, max(y2 - y1, 0.1) / bins
        for row in range(bins):
            top = min(max(int(np.floor(row * cell_h + y1)), 0), height)
            low = min(max(int(np.ceil((row + 1) * cell_h + y1)), 0), height)
            for col in range(bins):
                left = min(max(int(np.floor(col * cell_w + x1)), 0), width)
                right = min(max(int(np.ceil((col + 1) * cell_w + x1)), 0), width)
                if low > top and right > left:
                    cells = maps[:, row, col, top:low, left:right]
                    out[index, :, row, col] = cells.mean(axis=(1, 2))
    return out
