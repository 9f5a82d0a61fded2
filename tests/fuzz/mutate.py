"""Seeded damage to files, texts and nested values."""

import copy
import re

NUMBER = re.compile(r'-?\d+(?:\.\d+)?')
EXTREMES = (
    'nan', 'inf', '-inf', '-1', '0', '1e30', '-1e30', '1e400', '0.5', '0x10', '',
    'abc', '٣', '²', '1_0', '2147483648', '9223372036854775808', '1' * 5000,
)  # fmt: skip
VALUES = (
    None, True, False, -1, 0, 1, 0.5, -3.7, 1e30, float('nan'), float('inf'),
    -float('inf'), 2**31, 2**63, 10**400, '', 'abc', '1', '../x', '\0', 'a' * 5000,
    [], [1], [None] * 4, {}, {'a': 1}, {'type': 'abc'},
)  # fmt: skip
MAX_DAMAGES = 3


def mutate_bytes(rng, content):
    """Cut off, flip, overwrite, insert, delete or repeat bytes, once to three times."""
    content = bytearray(content)
    for _ in range(rng.randint(1, MAX_DAMAGES)):
        place = rng.randrange(len(content) + 1)
        size = rng.choice((1, 1, 2, 4, 8, 64))
        noise = rng.randbytes(size)
        repeated = content[place : place + size]
        kind = rng.choice(('cut', 'flip', 'put', 'insert', 'delete', 'repeat', 'fill'))
        if kind == 'cut':
            del content[place:]
        elif kind == 'flip' and place < len(content):
            content[place] ^= 1 << rng.randrange(8)
        elif kind == 'put':
            content[place : place + size] = noise
        elif kind == 'insert':
            content[place:place] = noise
        elif kind == 'delete':
            del content[place : place + size]
        elif kind == 'repeat':
            content[place:place] = repeated
        else:
            content[place : place + size] = rng.choice((b'\0', b'\xff')) * size
    return bytes(content)


def mutate_text(rng, content):
    """Damage lines and numbers of a text, or, at times, its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(rng, content)
    text = content.decode()
    for _ in range(rng.randint(1, MAX_DAMAGES)):
        lines = text.splitlines(keepends=True) or ['']
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        kind = rng.choice(('number', 'number', 'delete', 'repeat', 'swap', 'words'))
        if kind == 'number':
            found = list(NUMBER.finditer(text))
            if found:
                start, stop = rng.choice(found).span()
                text = text[:start] + rng.choice(EXTREMES) + text[stop:]
            continue
        if kind == 'delete':
            del lines[place]
        elif kind == 'repeat':
            lines.insert(other, lines[place])
        elif kind == 'swap':
            lines[place], lines[other] = lines[other], lines[place]
        else:
            parts = re.split(r'([ ,<>])', lines[place])
            del parts[rng.randrange(len(parts))]
            lines[place] = ''.join(parts)
        text = ''.join(lines)
    return text.encode()


def places(value, path=()):
    """List the paths of everything inside nested dicts and lists."""
    items = []
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    found = []
    for key, inner in items:
        found += [(*path, key), *places(inner, (*path, key))]
    return found


def mutate_value(rng, content, *, paths=None, damages=MAX_DAMAGES):
    """Change, drop, misspell or repeat values of nested dicts and lists.

    Returns the damaged copy and the path of the last change.
    """
    content = copy.deepcopy(content)
    path = ()
    for _ in range(rng.randint(1, damages)):
        known = places(content) if paths is None else paths
        if not known:
            break
        path = rng.choice(known)
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        key, kind = path[-1], rng.choice(('set', 'set', 'set', 'drop', 'twist'))
        if kind == 'set':
            parent[key] = copy.deepcopy(rng.choice(VALUES))
        elif kind == 'drop':
            del parent[key]
        elif isinstance(parent, dict):
            parent[f'{key}x'] = parent.pop(key)
        else:
            parent.insert(key, copy.deepcopy(parent[key]))
    return content, path
