"""The direction of imports of docs/design.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'projects' / 'dff'
OTHERS = ('apis', 'analysis', 'visualization', 'engine')

# What may import what: a module's prefix, and the prefixes it may not import.
FORBIDDEN = {
    'dff.ops': ['dff.models', 'dff.datasets', 'dff.evaluation', *OTHERS],
    'dff.models.flow': [
        'dff.ops',
        'dff.models.propagation',
        'dff.models.video_model',
        'dff.datasets',
        'dff.evaluation',
        *OTHERS,
    ],
    'dff.models.propagation': ['dff.models.video_model', 'dff.models.dff_video'],
    'dff.models.key_frame': ['dff.models', 'dff.ops'],
    'dff.models.video_model': ['dff.models.dff_video', 'dff.models.rfcn.detector'],
    'dff.models.dff_video_detector': ['dff.models.dff_video_segmentor'],
    'dff.models': ['dff.datasets', 'dff.evaluation', *OTHERS],
    'dff.datasets': ['dff.models', 'dff.evaluation', 'dff.ops'],
    'dff.evaluation': ['dff.models', 'dff.datasets', 'dff.ops'],
    'dff.visualization': ['dff.models', 'dff.datasets'],
    'dff.checkpoint': ['dff.models', 'dff.datasets'],
}


def modules():
    for path in sorted(PACKAGE.rglob('*.py')):
        if '.mim' not in path.parts:
            parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
            yield path, '.'.join(parts).removesuffix('.__init__')


def imported(path, name):
    """Resolve every module that a file imports from this package."""
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parents = package.split('.')[: len(package.split('.')) - node.level + 1]
                base = '.'.join([*parents, *([base] if base else [])])
            yield base
            yield from (f'{base}.{alias.name}' for alias in node.names)


def is_in(module, prefix):
    prefix = prefix if prefix.startswith('dff') else f'dff.{prefix}'
    return module == prefix or module.startswith((prefix + '.', prefix + '_'))


@pytest.mark.parametrize('layer', list(FORBIDDEN))
def test_imports_go_one_way(layer):
    found = False
    for path, name in modules():
        if not is_in(name, layer):
            continue
        found = True
        for module in imported(path, name):
            own = is_in(module, layer) or name == 'dff.models'
            for prefix in FORBIDDEN[layer]:
                assert own or not is_in(module, prefix), f'{name} imports {module}'
    assert found


def test_propagation_is_the_only_caller_of_the_warp():
    callers = [
        name
        for path, name in modules()
        if not is_in(name, 'dff.ops')
        and any(module.endswith('feature_warp') for module in imported(path, name))
    ]
    assert callers == ['dff.models.propagation']


def test_tools_are_thin():
    """A tool parses, builds, calls and prints: it defines no class, and is short."""
    for path in sorted((ROOT / 'tools').rglob('*.py')):
        tree = ast.parse(path.read_text())
        assert not any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)), path
        assert len(path.read_text().splitlines()) <= 200, path
