"""Runs whose figures the pages show: a folder of docs/runs each, with a `run.yml`."""

import csv
import json
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

RUN_FILE = 'run.yml'
REQUIRED = ('data', 'seeds', 'machine', 'date', 'commands')
WIDTH = 88


@dataclass(frozen=True)
class Run:
    """One run that was seen: its files, and how it was made.

    Attributes:
        root: Of the repository.
        name: Of its folder in docs/runs.
        info: What `run.yml` says: `data`, `seeds` (a list, or words), `machine`,
            `date`, `commands` (a list, or a mapping from a name that blocks pick by
            `command=NAME`), perhaps `note`, and what the kinds of blocks need.
    """

    root: Path
    name: str
    info: Mapping[str, Any]

    @classmethod
    def read(cls, root: Path, name: str) -> 'Run':
        """Read `docs/runs/NAME/run.yml`.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It does not say how the run was made.
        """
        path = root / 'docs/runs' / name / RUN_FILE
        if not path.is_file():
            raise FileNotFoundError(f'no run {name!r}: {path} does not exist')
        info = yaml.safe_load(path.read_text(encoding='utf-8'))
        missing = [key for key in REQUIRED if not (info or {}).get(key)]
        if missing:
            raise ValueError(f'{path} must say {list(REQUIRED)}, {missing} is missing')
        return cls(root, name, info)

    @property
    def folder(self) -> Path:
        """Folder of its files."""
        return self.root / 'docs/runs' / self.name

    def path(self, name: str) -> Path:
        """Return the path of one of its files.

        Raises:
            FileNotFoundError: There is no such file.
        """
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f'the run {self.name} has no file {name} ({path})')
        return path

    def json(self, name: str) -> Any:
        """Read a JSON file, or the last line of a log of JSON lines (mmengine's)."""
        text = self.path(name).read_text(encoding='utf-8')
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return json.loads(text.strip().splitlines()[-1])

    def csv(self, name: str) -> list[list[str]]:
        """Read a CSV file, its head first."""
        with self.path(name).open(encoding='utf-8', newline='') as file:
            return list(csv.reader(file))

    def caption(self, command: str | None = None) -> str:
        """Say data, seeds, machine, date and commands, to stand below a table.

        Args:
            command: Names of those to print, with commas; needs `commands` by name.
        """
        commands = self.info['commands']
        if isinstance(commands, str):
            commands = [commands]
        if isinstance(commands, Mapping):
            names = command.split(',') if command else list(commands)
            unknown = [name for name in names if name not in commands]
            if unknown:
                raise ValueError(
                    f'command must be of {list(commands)} in the run {self.name}, '
                    f'got {unknown}'
                )
            commands = [commands[name] for name in names]
        elif command:
            raise ValueError(f'the commands of the run {self.name} have no names')
        quoted = ', '.join(f'`{" ".join(line.split())}`' for line in commands)
        word = 'Command' if len(commands) == 1 else 'Commands'
        note = f' {sentence(self.info["note"])}' if self.info.get('note') else ''
        return wrap(f'{self.describe()}{note} *{word}:* {quoted}')

    def describe(self) -> str:
        """Say data, seeds, machine and date in one line."""
        info, seeds = self.info, self.info['seeds']
        if not isinstance(seeds, str):
            seeds = ', '.join(map(str, seeds))
        return (
            f'*Data:* {sentence(info["data"])} *Seeds:* {sentence(seeds)} *Machine:* '
            f'{" ".join(info["machine"].split())}, {info["date"]}.'
        )


def sentence(words: str) -> str:
    """Put words on one line, with one full stop at the end."""
    return ' '.join(str(words).split()).rstrip('.') + '.'


def wrap(text: str, *, indent: str = '') -> str:
    """Break lines at spaces only: Markdown reads a break inside of `code` as one."""
    options = dict(break_long_words=False, break_on_hyphens=False)
    options['subsequent_indent'] = indent
    return '\n'.join(textwrap.wrap(text, WIDTH, **options))


def link(target: Path, page: Path) -> str:
    """Return the link from a page to a file."""
    return Path(os.path.relpath(target, page.parent)).as_posix()


def parse_tables(text: str) -> list[list[list[str]]]:
    """Read all tables of a text, of Markdown or of terminaltables, as lists of rows."""
    tables: list[list[list[str]]] = []
    is_open = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith('|'):
            cells = [cell.strip() for cell in line.strip('|').split('|')]
            if not is_open:
                tables.append([])
                is_open = True
            if not all(re.fullmatch(':?-{3,}:?', cell) for cell in cells):
                tables[-1].append(cells)
        elif not (line.startswith('+') and is_open and len(tables[-1]) == 1):
            is_open = False  # the line below a head does not end a table
    return tables


def find_cell(text: str, row: str, column: str, *, nth: int | None = None) -> str:
    """Look a cell up by the label of its row and the head of its column.

    Args:
        text: With one table or more.
        row: First cell of the row.
        column: First cell of the column.
        nth: Which one, from 1, where several tables or rows have these labels.

    Raises:
        ValueError: No cell, or more than one, has these labels.
    """
    found = [
        line[head.index(column)]
        for head, *lines in parse_tables(text)
        if column in head
        for line in lines
        if line[0] == row
    ]
    if nth is None and len(found) == 1:
        nth = 1
    if nth is None or not 1 <= nth <= len(found):
        heads = [head for head, *_ in parse_tables(text)]
        raise ValueError(
            f'row {row!r} and column {column!r} must name one cell (nth= of several), '
            f'got {found or "none"}; the columns are {heads}'
        )
    return found[nth - 1]


def names_in(text: str | None) -> list[str]:
    """Split names with commas between; none gives none."""
    return [name.strip() for name in (text or '').split(',') if name.strip()]


def check_known(names: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raise a ValueError that says which names there are."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f'{what} must be of {list(known)}, got {unknown}')
