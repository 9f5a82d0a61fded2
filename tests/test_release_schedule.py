"""Optimiser, schedule and mixing of `configs/vid` as paper and release have them."""

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATA_SAMPLERS, MODELS, PARAM_SCHEDULERS, DefaultScope

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
PAPER, RELEASE = (
    Config.fromfile(CONFIGS / 'vid' / name)
    for name in ('dff_rfcn_r101_vid.py', 'dff_rfcn_r101_vid_release.py')
)
FLOW = 'propagation.flow_estimator.'
SCALE_BIAS = FLOW + 'predict_scale.0.bias'
NUM_VID, NUM_DET, GPUS = 57834, 53639, 4


@pytest.fixture
def model():
    """DFF of the release, with a thin ResNet-50 and a thin flow network."""
    cfg = copy.deepcopy(RELEASE.model)
    cfg.detector.backbone.update(
        depth=50, base_channels=4, stem_channels=4, init_cfg=None
    )
    cfg.detector.neck.in_channels = 128
    cfg.propagation.flow_estimator.update(width=0.05, init_cfg=None)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(cfg)


def optimizer_of(model, cfg):
    return build_optim_wrapper(model, copy.deepcopy(cfg)).optimizer


def set_gradients(model, seed):
    generator = torch.manual_seed(seed)
    for param in model.parameters():
        if param.requires_grad:
            param.grad = torch.randn(param.shape, generator=generator)


def flat(node, path=''):
    """Yield (path, value) of everything in nested dicts and lists."""
    if isinstance(node, (dict, list, tuple)) and node:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from flat(value, f'{path}.{key}')
    else:
        yield path, node


def test_release_changes_schedule_ratio_and_scale_bias_only():
    before, after = (dict(flat(cfg.to_dict())) for cfg in (PAPER, RELEASE))
    changed = {k for k in before | after if before.get(k) != after.get(k)}
    multipliers = '.optim_wrapper.paramwise_cfg'
    bias = f'{multipliers}.custom_keys.flow_estimator.predict_scale.0.bias'
    assert changed == {
        '.train_cfg.max_iters',
        '.train_cfg.val_interval',
        '.param_scheduler.0.milestones.0',
        '.optim_wrapper.optimizer.weight_decay',
        '.auto_scale_lr.base_batch_size',
        '.train_dataloader.sampler.ratio.0',
        '.train_dataloader.sampler.ratio.1',
        f'{multipliers}.bias_decay_mult',
        f'{bias}.lr_mult',
        f'{bias}.decay_mult',
    }


def test_iterations_of_the_release():
    pairs = 2 * (NUM_VID + NUM_DET)  # each image flipped, too
    assert RELEASE.train_cfg.max_iters == 2 * (pairs // GPUS)
    assert RELEASE.param_scheduler[0].milestones == [int(1.333 * pairs / GPUS)]
    assert RELEASE.auto_scale_lr.base_batch_size == GPUS


@pytest.mark.parametrize(
    'cfg, steps',
    [
        (PAPER, {0: 1e-3, 39999: 1e-3, 40000: 1e-4, 59999: 1e-4}),
        (RELEASE, {0: 1e-3, 74295: 1e-3, 74296: 1e-4, 111471: 1e-4}),
    ],
    ids=['paper', 'release'],
)
def test_learning_rate_at_every_iteration(cfg, steps):
    assert max(steps) == cfg.train_cfg.max_iters - 1
    lr = cfg.optim_wrapper.optimizer.lr
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr)
    (scheduler,) = (
        PARAM_SCHEDULERS.build(dict(item, optimizer=optimizer))
        for item in copy.deepcopy(cfg.param_scheduler)
    )
    optimizer.step()
    for iteration in range(max(steps) + 1):
        if iteration in steps:
            assert optimizer.param_groups[0]['lr'] == pytest.approx(steps[iteration])
        scheduler.step()


def release_sgd(weights, gradients, *, lr, decays, momentum=0.9):
    """Update as MXNet does, with the gradients of all GPUs summed."""
    weights = {name: value.copy() for name, value in weights.items()}
    velocity = {name: np.zeros_like(value) for name, value in weights.items()}
    for step in gradients:
        for name, value in weights.items():
            total = sum(step[name]) + decays[name] * value
            velocity[name] = momentum * velocity[name] - lr[name] * total
            value += velocity[name]
    return weights


def test_summed_gradients_are_the_rate_times_four_and_the_decay_by_four():
    rng = np.random.default_rng(0)
    model = torch.nn.Module()
    model.net = torch.nn.Linear(3, 2).double()
    model.flow_estimator = torch.nn.Module()
    model.flow_estimator.predict_scale = torch.nn.ModuleList(
        [torch.nn.Conv2d(2, 3, 1).double()]
    )
    params = dict(model.named_parameters())
    weights = {name: p.detach().numpy().copy() for name, p in params.items()}
    gradients = [
        {name: rng.normal(size=(GPUS, *p.shape)) for name, p in params.items()}
        for _ in range(30)
    ]
    fixed = 'flow_estimator.predict_scale.0.bias'
    expected = release_sgd(
        weights,
        gradients,
        lr={name: 0.0 if name == fixed else 2.5e-4 for name in params},
        decays={name: 0.0 if name.endswith('bias') else 5e-4 for name in params},
    )
    optimizer = optimizer_of(model, RELEASE.optim_wrapper)
    for step in gradients:
        for name, param in params.items():
            param.grad = torch.from_numpy(step[name].mean(axis=0))  # as DDP does
        optimizer.step()
    for name, param in params.items():
        np.testing.assert_allclose(param.detach(), expected[name], rtol=1e-12)
        assert np.array_equal(param.detach(), weights[name]) == (name == fixed)


@pytest.mark.parametrize('kind', ['SGD', 'AdamW'])
@pytest.mark.parametrize('flow_mult', [None, 0.0, 0.1])
def test_multipliers_of_scale_bias_and_flow(model, kind, flow_mult):
    cfg = copy.deepcopy(RELEASE.optim_wrapper)
    if kind == 'AdamW':
        cfg.optimizer = dict(type='AdamW', lr=1e-3, weight_decay=0.5)
    if flow_mult is not None:
        key = dict(lr_mult=flow_mult)
        cfg.paramwise_cfg.custom_keys['propagation.flow_estimator'] = key
    optimizer = optimizer_of(model, cfg)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    set_gradients(model, 0)
    optimizer.step()
    lr, decay = cfg.optimizer.lr, cfg.optimizer.weight_decay
    for name, param in model.named_parameters():
        if not param.requires_grad or name == SCALE_BIAS:
            assert torch.equal(param, before[name]), name
            continue
        is_flow = flow_mult is not None and name.startswith(FLOW)
        rate = lr * (flow_mult if is_flow else 1)
        own_decay = 0 if name.endswith('bias') and not is_flow else decay
        if kind == 'SGD':
            step = rate * (param.grad + own_decay * before[name])
        else:  # the first step of Adam is next to a sign
            sign = param.grad / (param.grad.abs() + 1e-8)
            step = rate * (sign + own_decay * before[name])
        torch.testing.assert_close(before[name] - param, step, rtol=1e-3, atol=1e-6)


def test_paper_trains_the_scale_bias(model):
    optimizer = optimizer_of(model, PAPER.optim_wrapper)
    before = model.get_parameter(SCALE_BIAS).detach().clone()
    set_gradients(model, 0)
    optimizer.step()
    assert not torch.equal(model.get_parameter(SCALE_BIAS), before)


class Parts:
    datasets = (range(NUM_VID), range(NUM_DET))

    def __len__(self):
        return NUM_VID + NUM_DET


@pytest.mark.parametrize(
    'cfg, ratio', [(PAPER, 2.0), (RELEASE, 1.08)], ids=['paper', 'release']
)
def test_vid_to_det(cfg, ratio):
    parts = cfg.train_dataloader.dataset.datasets
    assert [part.get('as_stills', False) for part in parts] == [False, True]
    assert cfg.train_dataloader.batch_size == 1
    sampler = DATA_SAMPLERS.build(
        dict(cfg.train_dataloader.sampler, dataset=Parts(), seed=0)
    )
    drawn = np.fromiter(itertools.islice(sampler, 3000), int)
    num_vid = (drawn < NUM_VID).sum()
    assert num_vid / (3000 - num_vid) == pytest.approx(ratio, abs=0.005)
    assert len(set(drawn.tolist())) == 3000


def test_what_the_release_freezes(model):
    """conv1, res2 and every gamma and beta; the statistics of all BN, too."""
    for name, param in model.named_parameters():
        parts = name.split('.')
        in_backbone = parts[:2] == ['detector', 'backbone']
        is_norm = in_backbone and any('bn' in p for p in parts)
        is_norm |= in_backbone and 'downsample.1' in name
        is_early = in_backbone and parts[2] in ('conv1', 'layer1')
        assert param.requires_grad != (is_norm or is_early), name
    model.train()
    before = {name: b.clone() for name, b in model.named_buffers()}
    feats = model.detector.extract_feat(torch.randn(1, 3, 32, 48))
    feats[0].sum().backward()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]), name
    trained = {n for n, p in model.detector.named_parameters() if p.grad is not None}
    assert trained == {
        n
        for n, p in model.detector.named_parameters()
        if p.requires_grad and n.startswith(('backbone', 'neck'))
    }
