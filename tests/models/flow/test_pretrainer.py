"""Pre-training, validation and test of a flow network through mmengine's Runner."""

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

import dff  # noqa: F401
from dff.datasets.flow.flo import write_flo
from dff.engine import launch, testing

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
SIZE = (64, 96)
UNIT = 20.0 * 2  # FlowNet predicts flow / 20, in pixels of its half-size input


class FixedFlows(nn.Module):
    """Answer given flows, fine to coarse."""

    def __init__(self, flows):
        super().__init__()
        self.flows = flows

    def forward_multi_scale(self, cur, key):
        return self.flows


def test_loss_is_the_mean_over_known_cells():
    """Against a loop over the cells, with unknown pixels and a whole unknown cell."""
    generator = torch.Generator().manual_seed(0)
    flows = [torch.randn(1, 2, 4 // s, 8 // s, generator=generator) for s in (1, 2)]
    target = torch.randn(1, 2, 16, 32, generator=generator) * 30
    target[0, 0, :4, :4] = torch.nan  # one cell of the first
    target[0, 1, 9, 17] = torch.nan
    cfg = dict(type='FlowPretrainer', flow_estimator=FixedFlows(flows))
    model = MODELS.build(dict(cfg, scale_weights=(1.0, 0.5), motion_weight=2.0))
    frames = torch.zeros(1, 3, 16, 32)
    losses = model.loss(frames, frames, target)
    for index, (flow, weight) in enumerate(zip(flows, (1.0, 0.5), strict=True)):
        step = 16 // flow.shape[2]
        errors, weights = [], []
        for y in range(flow.shape[2]):
            for x in range(flow.shape[3]):
                cell = target[0, :, y * step : y * step + step]
                cell = cell[:, :, x * step : x * step + step].flatten(1)
                cell = cell[:, cell.isfinite().all(dim=0)]
                if not cell.shape[1]:
                    continue
                mean = cell.mean(dim=1)
                errors.append((flow[0, :, y, x] - mean / UNIT).norm())
                weights.append(1 + 2 * min(mean.norm() / 8, torch.tensor(1.0)))
        assert len(errors) == 31 or index
        errors, weights = torch.stack(errors), torch.stack(weights)
        expected = weight * (errors * weights).sum() / weights.sum()
        torch.testing.assert_close(losses[f'loss_scale{index}'], expected)
        if index == 0:
            torch.testing.assert_close(losses['epe'], errors.mean() * UNIT)
    nothing = model.loss(frames, frames, torch.full_like(target, torch.nan))
    assert all(value == 0 for value in nothing.values())


@pytest.fixture
def pairs(tmp_path):
    """Three pairs in which all moves by (3, -2)."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'pairs'
    folder.mkdir()
    for number in range(3):
        wide = rng.integers(0, 256, (12, 16, 3)).astype(np.float32)
        wide = cv2.resize(wide, (128, 96), interpolation=cv2.INTER_CUBIC)
        wide = wide.clip(0, 255).astype(np.uint8)
        for mark, x, y in (('img1', 10, 10), ('img2', 7, 12)):
            image = wide[y : y + SIZE[0], x : x + SIZE[1]]
            cv2.imwrite(str(folder / f'{number}_{mark}.ppm'), image)
        flow = np.tile(np.float32([3, -2]), (*SIZE, 1))
        write_flo(folder / f'{number}_flow.flo', flow)
    (tmp_path / 'split.txt').write_text('1\n1\n2\n')
    return tmp_path


def read(name, root, **options):
    cfg = Config.fromfile(CONFIGS / 'flow' / name)
    cfg.work_dir, cfg.launcher = str(root / 'work'), 'none'
    cfg.merge_from_dict(options)
    return cfg


def test_training_validates_and_its_checkpoint_is_tested(pairs):
    """The shipped config, made small: two iterations, validation, then tools/test."""
    options = dict()
    for name in ('train', 'val', 'test'):
        options[f'{name}_dataloader.num_workers'] = 0
        options[f'{name}_dataloader.persistent_workers'] = False
        options[f'{name}_dataloader.batch_size'] = 2
        options[f'{name}_dataloader.dataset.data_root'] = str(pairs / 'pairs')
        options[f'{name}_dataloader.dataset.split_file'] = str(pairs / 'split.txt')
    cfg = read(
        'flownets_half_chairs.py',
        pairs,
        **options,
        **{
            'train_dataloader.dataset.augmentation.crop_size': (64, 64),
            'model.flow_estimator.width': 1 / 16,
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
        },
    )
    runner = launch.build_runner(copy.deepcopy(cfg))
    runner.train()
    validated = runner.message_hub.get_scalar('val/flow/epe').current()
    assert 0 < validated < 50
    assert list(Path(cfg.work_dir).glob('best_flow_epe_iter_2.pth'))
    testing.set_checkpoint(cfg, str(pairs / 'work' / 'iter_2.pth'))
    figures = testing.build_runner(cfg).test()
    assert figures['flow/epe'] == pytest.approx(validated, rel=1e-4)
    assert figures['flow/known'] == 100
    testing.set_checkpoint(cfg, 'none')
    with pytest.raises(ValueError, match="checkpoint 'none' is for models without"):
        testing.build_runner(cfg)


def test_baselines_need_no_checkpoint(pairs):
    figures = {}
    for name in ('zero', 'dis'):
        root = str(pairs / 'pairs')
        options = {'test_dataloader.dataset.data_root': root}
        cfg = read(f'{name}_chairs.py', pairs, **options)
        testing.set_checkpoint(cfg, 'none')
        figures[name] = testing.build_runner(cfg).test()['flow/epe']
    assert figures['zero'] == pytest.approx(13**0.5)
    assert figures['dis'] < 0.5


def test_zero_flow_on_the_real_pairs(dff_data):
    """10.51 px: the mean length of the motion of the nine Flying Chairs pairs."""
    from dff.datasets import FlowPairDataset
    from dff.evaluation import EndPointError

    model = MODELS.build(
        dict(type='FlowPretrainer', flow_estimator=dict(type='ZeroFlow', strides=(8,)))
    )
    metric = EndPointError()
    for item in FlowPairDataset(str(dff_data / 'flow' / 'FlyingChairs_sample')):
        inputs = {name: [image] for name, image in item['inputs'].items()}
        samples = model(inputs, [item['data_samples']], mode='predict')
        metric.process(None, [sample.to_dict() for sample in samples])
    assert metric.evaluate(9)['flow/epe'] == pytest.approx(10.51, abs=0.005)


def test_predict_turns_bgr_into_the_networks_input():
    seen = {}

    class Spy(nn.Module):
        def forward(self, cur, key):
            seen.update(cur=cur, key=key)
            return torch.full((1, 2, 2, 3), 0.5), None

    model = MODELS.build(dict(type='FlowPretrainer', flow_estimator=Spy()))
    image = torch.tensor([1, 2, 3], dtype=torch.uint8).view(3, 1, 1).expand(3, 9, 17)
    sample = BaseDataElement()
    sample.gt_flow = PixelData(data=torch.zeros(2, 9, 17))
    (found,) = model(dict(cur=[image], key=[image + 1]), [sample], mode='predict')
    assert found.pred_flow.shape == (2, 2, 3)
    expected = torch.tensor([3 - 123.15, 2 - 115.90, 1 - 103.06])
    torch.testing.assert_close(seen['cur'][0, :, 4, 5], expected)
    torch.testing.assert_close(seen['key'][0, :, 4, 5], expected + 1)
