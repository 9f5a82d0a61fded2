"""End-point error against loops, on one rank and two."""

import math

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from mmengine.structures import BaseDataElement, PixelData

from dff.evaluation import EndPointError
from dff.evaluation.end_point_error import enlarge_flow


def make_sample(number, size, stride, *, is_named=True):
    generator = torch.Generator().manual_seed(number)
    cells = [math.ceil(side / stride) for side in size]
    names = dict(img_path=f'{number}.ppm', key_path='k') if is_named else {}
    sample = BaseDataElement(metainfo=names)
    target = torch.randn(2, *size, generator=generator) * 25
    target[:, 0, 1], target[0, 1, 0] = torch.nan, 1.7e9
    sample.gt_flow = PixelData(data=target)
    sample.pred_flow = torch.randn(2, *cells, generator=generator)
    return sample


SAMPLES = [
    make_sample(0, (9, 14), 8),
    make_sample(1, (16, 5), 4),
    make_sample(2, (7, 7), 1),
]


def enlarge_by_loop(flow, size, stride):
    """Interpolate between cell centres; a cell's centre is the middle of its pixels."""
    flow, result = flow.numpy().astype(float), np.zeros((2, *size))
    for y in range(size[0]):
        for x in range(size[1]):
            place, weights = [], []
            for at, count in ((y, flow.shape[1]), (x, flow.shape[2])):
                at = max((at + 0.5) / stride - 0.5, 0)
                low = min(int(at), count - 1)
                place.append((low, min(low + 1, count - 1)))
                weights.append((1 - (at - low), at - low))
            for j, wy in zip(place[0], weights[0], strict=True):
                for i, wx in zip(place[1], weights[1], strict=True):
                    result[:, y, x] += stride * wy * wx * flow[:, j, i]
    return result


def by_loop(samples):
    bins = {'epe': [], 'epe_0-10': [], 'epe_10-40': [], 'epe_40+': []}
    pixels = 0
    for sample in samples:
        target = sample.gt_flow.data.numpy().astype(float)
        height, width = target.shape[1:]
        stride = {9: 8, 16: 4, 7: 1}[height]
        flow = enlarge_by_loop(sample.pred_flow, (height, width), stride)
        for y in range(height):
            for x in range(width):
                pixels += 1
                wanted = target[:, y, x]
                if not (np.abs(wanted) < 1e9).all():
                    continue
                motion = math.hypot(*wanted)
                name = '0-10' if motion < 10 else '10-40' if motion < 40 else '40+'
                error = math.hypot(*(flow[:, y, x] - wanted))
                bins['epe'].append(error)
                bins[f'epe_{name}'].append(error)
    figures = {f'flow/{name}': np.mean(errors) for name, errors in bins.items()}
    return {**figures, 'flow/known': 100 * len(bins['epe']) / pixels}


def evaluate(samples, size=None):
    metric = METRICS.build(dict(type='EndPointError'))
    assert isinstance(metric, EndPointError)
    for sample in samples:
        metric.process(None, [sample.to_dict()])
    return metric.evaluate(len(samples) if size is None else size)


def test_figures_are_those_of_a_loop():
    figures, expected = evaluate(SAMPLES), by_loop(SAMPLES)
    assert list(figures) == list(expected)
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.parametrize(
    'parts',
    [
        [SAMPLES[0::2], [SAMPLES[1], SAMPLES[0]]],  # the last is there to fill up
        [SAMPLES, []],
    ],
)
def test_two_ranks_count_each_pair_once(on_two_ranks, parts):
    expected = evaluate(SAMPLES)
    for figures in on_two_ranks(lambda part: evaluate(part, len(SAMPLES)), parts):
        assert figures == pytest.approx(expected)


def test_pairs_without_names_all_count():
    pair = make_sample(1, (16, 5), 4, is_named=False)
    other = make_sample(0, (16, 5), 4, is_named=False)
    single = [evaluate([sample])['flow/epe'] for sample in (pair, other)]
    both = evaluate([pair, other])['flow/epe']
    assert both == pytest.approx(sum(single) / 2)


def test_hidden_pixels_apart_and_empty_bins():
    sample = BaseDataElement()
    target = torch.zeros(2, 2, 2)
    target[0] = torch.tensor([[1.0, 2.0], [3.0, 10.0]])
    sample.gt_flow = PixelData(data=target)
    sample.is_hidden = PixelData(data=torch.tensor([[[False, False], [True, True]]]))
    sample.pred_flow = torch.zeros(2, 1, 1)
    figures = evaluate([sample])
    assert figures['flow/epe'] == 4 and figures['flow/epe_0-10'] == 2
    assert figures['flow/epe_10-40'] == 10  # the lower end belongs to it
    assert math.isnan(figures['flow/epe_40+'])
    assert figures['flow/epe_visible'] == 1.5 and figures['flow/epe_hidden'] == 6.5


def test_a_constant_motion_keeps_its_length():
    flow = torch.tensor([1.5, -0.25]).view(2, 1, 1).expand(2, 48, 64)
    large = enlarge_flow(flow, (381, 505))
    assert large.shape == (2, 381, 505)
    assert large[:, 200, 300].tolist() == [12, -2] and large[0].min() == 12


def test_what_cannot_be():
    sample = make_sample(0, (9, 14), 8)
    sample.pred_flow = torch.zeros(2, 3, 2)
    with pytest.raises(ValueError, match=r'image of \(9, 14\), got \(2, 3, 2\)'):
        evaluate([sample])
    with pytest.raises(ValueError, match='needs at least one pair, got none'):
        EndPointError().evaluate(0)
