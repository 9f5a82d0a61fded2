"""Every config, read as `dff::…` from elsewhere, is built in the right registry."""

from pathlib import Path

import mmcv.ops
import mmengine.registry as registries
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry

import dff  # noqa: F401  (registers the classes and the prefix)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
NAMES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob('*.py'))
PARTS = [name for name in NAMES if name.startswith('_base_/')]
WHOLE = [name for name in NAMES if not name.startswith('_base_/')]
ROOTS = [value for value in vars(registries).values() if isinstance(value, Registry)]


@pytest.fixture
def inherit(tmp_path, monkeypatch):
    """Return a function that reads a config inheriting `dff::NAME`."""
    monkeypatch.chdir(tmp_path)

    def read(name):
        Path('mine.py').write_text(f"_base_ = 'dff::{name}'\n")
        return Config.fromfile('mine.py')

    return read


def outermost_typed(node, path=''):
    """Yield (path, dict) of each dict with a type that lies in no other such dict."""
    if isinstance(node, dict) and 'type' in node:
        yield path, node
        return
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)):
            yield from outermost_typed(value, f'{path}.{key}')


def unresolved(node, scope, path):
    """Yield the path of each `type` below node that no registry of its scope knows."""
    if isinstance(node, dict):
        scope = node.get('_scope_') or scope
        kind = node.get('type')
        # NMS and RoI layers are looked up in mmcv.ops, in no registry.
        if isinstance(kind, str) and not hasattr(mmcv.ops, kind):
            with DefaultScope.overwrite_default_scope(scope):
                if not any(knows(root, scope, kind) for root in ROOTS):
                    yield f'{path}: {kind} in {scope}'
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        if isinstance(value, (dict, list, tuple)):
            yield from unresolved(value, scope, f'{path}.{key}')


def knows(root, scope, kind):
    """Say whether the registry that stands for `root` in this scope has `kind`."""
    with root.switch_scope_and_registry(scope) as registry:
        try:
            return registry.get(kind) is not None
        except RuntimeError:  # mmengine's word for a name that is no import path
            return False


@pytest.mark.parametrize('name', WHOLE)
def test_outermost_dicts_have_a_scope_that_builds_them(inherit, name):
    config = inherit(name)
    assert config.default_scope in ('mmdet', 'mmseg')
    typed = list(outermost_typed(config._cfg_dict.to_dict()))
    assert any(path == '.model' for path, _ in typed)
    wrong = {
        path: node.get('_scope_')
        for path, node in typed
        if node.get('_scope_') not in ('mmdet', 'mmseg')
    }
    assert wrong == {}
    missing = [line for path, node in typed for line in unresolved(node, None, path)]
    assert missing == []


@pytest.mark.parametrize('name', PARTS)
def test_part_takes_the_scope_of_who_inherits_it(inherit, name):
    config = inherit(name)
    typed = list(outermost_typed(config._cfg_dict.to_dict()))
    assert all(node.get('_scope_') != 'dff' for _, node in typed)


def test_other_packages_keep_their_stamp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('mine.py').write_text("_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'\n")
    assert Config.fromfile('mine.py').model._scope_ == 'mmdet'
