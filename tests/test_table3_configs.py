"""Table 3's variants: each config says what it differs in, and trains what it says."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
TASKS = {  # DFF's config by variant, SFF's by preset, the wrapped model
    'vid': ('dff_rfcn_r101_{}vid', 'sff_{}_rfcn_r101_vid', 'detector'),
    'cityscapes': ('dff_fcn_r101_{}cityscapes', 'sff_{}_fcn_r101_cityscapes', ''),
    'mini': (
        'dff_rfcn_mobilenetv2_{}pets',
        'sff_{}_rfcn_mobilenetv2_pets',
        'detector',
    ),
    'camvid': ('dff_fcn_mobilenetv2_{}camvid', 'sff_{}_fcn_mobilenetv2_camvid', ''),
}
FLOW = 'model.propagation.flow_estimator'


def read(folder, variant):
    dff_name, sff_name, _ = TASKS[folder]
    if variant in ('slow', 'fast'):
        name = sff_name.format(variant)
    else:
        name = dff_name.format(variant and f'{variant}_')
    return Config.fromfile(CONFIGS / folder / f'{name}.py')


def flatten(node, path=''):
    if not isinstance(node, dict):
        return {path: node}
    leaves = {}
    for key, value in node.items():
        leaves |= flatten(value, f'{path}.{key}' if path else key)
    return leaves


def differences(folder, variant):
    """Tell what a variant changes of DFF: leaf -> its value (None: gone)."""
    base, other = (flatten(read(folder, v).to_dict()) for v in ('', variant))
    names = {n for n in base | other if base.get(n, '-') != other.get(n, '-')}
    return {name: other.get(name) for name in names}


@pytest.mark.parametrize('folder', TASKS)
def test_a_variant_changes_nothing_else(folder):
    wrapped = TASKS[folder][2] or 'segmentor'
    changed = differences(folder, 'fixn')
    assert changed.pop('load_from', 'long').count('long')  # of the small data sets
    assert changed == {'model.frozen_modules': [wrapped]}
    frozen = {'model.frozen_modules': ['propagation.flow_estimator']}
    assert differences(folder, 'fixf') == frozen
    for variant in ('noscale', 'separate'):
        assert differences(folder, variant) == {f'{FLOW}.scale_channels': None}
    for variant in ('slow', 'fast'):
        changed = differences(folder, variant)
        assert all(name.startswith(FLOW) for name in changed)
        new = {n.removeprefix(f'{FLOW}.'): v for n, v in changed.items() if v}
        assert (new['type'], new['method'], new['preset']) == (
            'ClassicalFlow',
            'sift',
            variant,
        )
        assert set(new) <= {'type', 'method', 'preset', 'cache_dir', 'working_scale'}


def build(folder, variant):
    cfg = read(folder, variant)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize('folder', ['mini', 'camvid'])
def test_what_is_trained(folder):
    """Of N and F: fix N trains F, fix F trains N, DFF both."""

    def trained(variant):
        model = build(folder, variant).train()
        names = {n for n, p in model.named_parameters() if p.requires_grad}
        return {'N' if not n.startswith('propagation.') else 'F' for n in names}

    assert trained('') == {'N', 'F'}
    assert trained('fixn') == {'F'}
    assert trained('fixf') == {'N'}
    assert trained('slow') == {'N'}
