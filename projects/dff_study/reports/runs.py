"""Finished runs: a folder of docs/runs each, with a `run.yml` that describes it."""

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

RUNS = 'docs/runs'
REQUIRED = ('data', 'seeds', 'machine', 'date', 'commands')


@dataclass(frozen=True)
class Run:
    """One run: its files, and how it was made.

    Attributes:
        root: Of the repository.
        name: Of its folder in docs/runs.
        info: Content of `run.yml`, see docs/runs/README.md.
    """

    root: Path
    name: str
    info: Mapping[str, Any]

    @classmethod
    def read(cls, root: Path, name: str) -> 'Run':
        """Read `docs/runs/NAME/run.yml`.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file does not say how the run was made.
        """
        path = root / RUNS / name / 'run.yml'
        if not path.is_file():
            raise FileNotFoundError(f'no run {name!r}: {path} does not exist')
        info = yaml.safe_load(path.read_text(encoding='utf-8')) or {}
        if missing := [key for key in REQUIRED if not info.get(key)]:
            raise ValueError(f'{path} must have {list(REQUIRED)}, {missing} is missing')
        return cls(root, name, info)

    @property
    def folder(self) -> Path:
        """Folder of its files."""
        return self.root / RUNS / self.name

    def text(self, name: str) -> str:
        """Read a text file.

        Raises:
            FileNotFoundError: The run has no such file.
        """
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(f'the run {self.name} has no file {name} ({path})')
        return path.read_text(encoding='utf-8').strip('\n')

    def json(self, name: str) -> Any:
        """Read a JSON file, or the last line of a log of JSON lines (mmengine's)."""
        text = self.text(name)
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return json.loads(text.splitlines()[-1])

    def printed(self, name: str) -> pd.DataFrame:
        """Read the first table of a text, in Markdown."""
        head, *rows = read_rows(self.text(name))
        labels = [row[0] for row in rows]
        return pd.DataFrame([row[1:] for row in rows], index=labels, columns=head[1:])

    def describe(self, folder: str = 'runs') -> str:
        """Write data, seeds, machine and date in a paragraph, with a link.

        Args:
            folder: Path of docs/runs from the page.
        """
        info = self.info
        seeds, commands = info['seeds'], f'{folder}/{self.name}/run.yml'
        if not isinstance(seeds, str):
            seeds = ', '.join(map(str, seeds))
        parts = [f'Run [{self.name}]({commands}) (commands). Data: {info["data"]}']
        parts += [f'Seeds: {seeds}', f'Machine: {info["machine"]}, {info["date"]}']
        parts += [info['note']] if info.get('note') else []
        text = ' '.join(' '.join(part.split()).rstrip('.') + '.' for part in parts)
        options = dict(break_long_words=False, break_on_hyphens=False)
        return textwrap.fill(text, 88, **options)


def read_rows(text: str) -> list[list[str]]:
    """Return the cells of each row of tables in Markdown or of terminaltables."""
    rows = [
        [cell.strip() for cell in line.strip().strip('|').split('|')]
        for line in text.splitlines()
        if line.strip().startswith('|')
    ]
    return [row for row in rows if set(''.join(row)) - set(':-')]
