"""The floors of docs/design.md: which part of `dff` may import which."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'projects' / 'dff'

# Rooms from the ground up, with what each may import beside itself; '*' is every room
# above it in this table. A room is a file or a folder of `dff`.
FLOORS = {
    'files': [],
    'random_state': [],
    'mim': [],
    'ops': [],
    'checkpoint': ['files'],
    'models.flow': ['files'],
    'models.rfcn': ['ops'],
    'models.seam': ['ops', 'models.rfcn'],
    'models': ['ops', 'checkpoint', 'models.flow', 'models.rfcn', 'models.seam'],
    'datasets': ['files', 'random_state'],
    'datasets.flow': ['files', 'datasets'],
    'video': [],
    'visualization': ['files', 'video'],
    'evaluation': ['files', 'checkpoint'],
    'engine': ['*'],
    'apis': ['*'],
    'checks': ['*'],
    'cost': ['*'],
    'converters': [
        'files',
        'checkpoint',
        'models.flow',
        'datasets',
        'datasets.flow',
        'video',
    ],
}


def list_modules():
    """Return {dotted name: path} of every module of `dff`."""
    modules = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        if '.mim' not in path.parts:
            parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
            modules['.'.join(parts).removesuffix('.__init__')] = path
    return modules


MODULES = list_modules()


@cache
def find_imports(name, *, with_lazy):
    """Return the dotted names that a module imports, of any package.

    A lazy import runs in a function, not when the module is loaded.
    """
    path = MODULES[name]
    tree = ast.parse(path.read_text(encoding='utf-8'))
    lazy = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            lazy.update(ast.walk(function))
    found = set()
    for node in ast.walk(tree):
        if with_lazy or node not in lazy:
            found |= set(resolve(node, name, is_package=path.name == '__init__.py'))
    return found


def resolve(node, name, *, is_package):
    """Yield the full names that one node of module `name` imports, if any."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = [node.module] if node.module else []
        if node.level:
            package = name.split('.') if is_package else name.split('.')[:-1]
            base = package[: len(package) - node.level + 1] + base
        base = '.'.join(base)
        for alias in node.names:
            full = f'{base}.{alias.name}'
            yield full if full in MODULES else base


@cache
def module_graph(*, with_lazy):
    """Return {module: modules of `dff` that it imports}."""
    return {
        name: (find_imports(name, with_lazy=with_lazy) & MODULES.keys()) - {name}
        for name in MODULES
    }


def room_of(module):
    """Return the innermost room of a module; None for `dff` itself."""
    inside = module.removeprefix('dff').removeprefix('.')
    rooms = [r for r in FLOORS if f'{inside}.'.startswith(f'{r}.')]
    return max(rooms, key=len, default=None)


def room_imports():
    """Yield (room, imported room, module, imported module) where the rooms differ.

    A package's `__init__.py` names what users import, so it may import from all of its
    own package, sub-packages with rooms of their own included.
    """
    for module, imports in module_graph(with_lazy=True).items():
        room = room_of(module)
        is_door = MODULES[module].name == '__init__.py'
        for other in imports if room else ():
            own = room_of(other) == room
            own = own or (is_door and other.startswith(f'{module}.'))
            if not own:
                yield room, room_of(other), module, other


def allowed(room):
    """Return the rooms that a room may import."""
    names = list(FLOORS)
    if FLOORS[room] == ['*']:
        return set(names[: names.index(room)])
    return set(FLOORS[room])


def find_circles(graph):
    """Return the sets of nodes that reach each other (Tarjan's components of > 1)."""
    order, low, stack, circles = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for other in graph[node]:
            if other not in order:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == order[node]:
            start = stack.index(node)
            if len(stack) - start > 1:
                circles.append(sorted(stack[start:]))
            del stack[start:]

    for node in graph:
        if node not in order:
            visit(node)
    return circles


def test_find_circles_finds_them():
    graph = {'a': 'b', 'b': 'ce', 'c': 'ad', 'd': '', 'e': 'f', 'f': 'e', 'g': 'a'}
    assert sorted(find_circles(graph)) == [['a', 'b', 'c'], ['e', 'f']]


def test_every_module_has_a_room_and_every_room_modules():
    homeless = [name for name in MODULES if name != 'dff' and room_of(name) is None]
    assert homeless == [], 'add the room to FLOORS and to docs/design.md'
    assert set(map(room_of, MODULES)) - {None} == set(FLOORS)


def test_rooms_allow_only_lower_rooms():
    names = list(FLOORS)
    for i, room in enumerate(names):
        assert allowed(room) <= set(names[:i]), room


@pytest.mark.parametrize('room', FLOORS)
def test_room_imports_only_what_it_may(room):
    wrong = [
        f'{module} imports {other}'
        for importer, imported, module, other in room_imports()
        if importer == room and imported not in allowed(room)
    ]
    assert wrong == []


def test_no_modules_import_each_other_at_load():
    assert find_circles(module_graph(with_lazy=False)) == []


def test_no_modules_import_each_other_lazily():
    assert find_circles(module_graph(with_lazy=True)) == []


def test_no_rooms_import_each_other():
    graph = {room: set() for room in FLOORS}
    for importer, imported, *_ in room_imports():
        graph[importer].add(imported)
    assert find_circles(graph) == []


def test_product_imports_no_study():
    wrong = [
        name
        for name in MODULES
        for imported in find_imports(name, with_lazy=True)
        if imported.split('.')[0] == 'dff_study'
    ]
    assert wrong == []


def test_design_page_shows_the_floors():
    text = (ROOT / 'docs/design.md').read_text(encoding='utf-8')
    section = text.split('\n## Floors\n')[1].split('\n## ')[0]
    shown = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip('|').split('|')]
        if line.startswith('| `'):
            rooms = re.findall(r'`([\w.]+)`', cells[0])
            imports = re.findall(r'`([\w.]+)`', cells[1])
            if cells[1] == 'every room above':
                imports = ['*']
            shown.update(dict.fromkeys(rooms, imports))
    assert shown == FLOORS
    assert list(shown) == list(FLOORS)


def test_propagation_is_the_only_caller_of_the_warp():
    graph = module_graph(with_lazy=True)
    callers = {name for name in graph if 'dff.ops.feature_warp' in graph[name]}
    callers |= {
        name
        for name in graph
        if 'feature_warp' in MODULES[name].read_text(encoding='utf-8')
        and 'dff.ops' in graph[name]
    }
    assert callers - {'dff.ops'} == {'dff.models.propagation'}


def test_tools_are_thin():
    """A tool parses, builds, calls and prints: it defines no class, and is short."""
    for path in sorted((ROOT / 'tools').rglob('*.py')):
        text = path.read_text(encoding='utf-8')
        nodes = ast.walk(ast.parse(text))
        assert not any(isinstance(node, ast.ClassDef) for node in nodes), path
        assert len(text.splitlines()) <= 200, path
