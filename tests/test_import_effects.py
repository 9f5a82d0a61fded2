"""What `import dff` changes in the process, and what it loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, sys
import mmdet.apis, mmseg.apis, mmengine.fileio.backends as backends
stock = set(sys.modules)
import dff
local = backends.registry_utils.backends['local']
unprefixed = backends.registry_utils.prefix_to_backends['']
print(json.dumps(dict(
    stock=sorted(stock),
    loaded=sorted(set(sys.modules) - stock),
    files={name: module.__file__ for name, module in sys.modules.items()
           if name.startswith('dff') and module.__file__.endswith('.py')},
    backends=[f'{cls.__module__}.{cls.__name__}' for cls in (local, unprefixed)],
)))
"""


@pytest.fixture(scope='module')
def effects():
    """Import dff in a new process, after MMDetection and MMSegmentation."""
    result = subprocess.run(
        [sys.executable, '-c', SCRIPT], check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout.splitlines()[-1])


def test_the_local_file_backend_stays_that_of_mmengine(effects):
    stock = 'mmengine.fileio.backends.local_backend.LocalBackend'
    assert effects['backends'] == [stock, stock]


@pytest.mark.parametrize(
    'package', ['dff.converters', 'dff.checks', 'dff.cost', 'dff.apis', 'dff_study']
)
def test_what_only_tools_and_programs_use_is_not_loaded(effects, package):
    modules = [name for name in effects['loaded'] if is_in(name, package)]
    assert not modules


def test_no_module_that_is_loaded_imports_matplotlib(effects):
    """MMDetection and MMSegmentation load Matplotlib themselves: dff adds nothing."""
    assert any(is_in(name, 'matplotlib') for name in effects['stock'])
    assert not [name for name in effects['loaded'] if is_in(name, 'matplotlib')]
    paths = [path for name, path in effects['files'].items() if is_in(name, 'dff')]
    assert len(paths) > 50
    for path in paths:
        assert 'matplotlib' not in set(imported_packages(path)), path


def is_in(module, package):
    return module == package or module.startswith(f'{package}.')


def imported_packages(path):
    """Yield the top-level packages that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition('.')[0]
