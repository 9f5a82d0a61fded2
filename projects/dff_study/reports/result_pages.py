"""Fill the marked blocks and values of the documentation from the runs in docs/runs.

    <!-- results: RUN KIND [option=value ...] -->       a table and how it was made
    <!-- end -->
    <!-- value: RUN KIND [option=value ...] ROW COLUMN --> <!-- /value -->    one cell
    <!-- results: composed NAME -->                     rows put together of values
    <!-- results: configs FOLDER -->                    the configs of configs/FOLDER

`docs/runs/README.md` says how to add a run.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

from dff.files import write_atomically
from dff.markdown import to_markdown

from .config_lists import list_configs, write_models
from .result_blocks import render
from .result_runs import RUN_FILE, Run, find_cell, link, wrap

BLOCK = re.compile(
    r'(?P<open><!-- results: (?P<what>[^\n]*?) -->\n)(?P<body>.*?)'
    r'(?P<close><!-- end -->)',
    re.DOTALL,
)
VALUE = re.compile(
    r'(?P<open><!-- value: (?P<what>[^\n]*?) -->)(?P<body>[^<\n]*)'
    r'(?P<close><!-- /value -->)'
)
# Markdown takes a line that begins with a comment for HTML and ends the paragraph
AT_LINE_START = re.compile(r'^\s*(?:[-*+] +)?(<!-- value: .*? -->)', re.MULTILINE)
MARKS = ('<!-- results:', '<!-- value:')
OPTION = re.compile(r'[a-z_]+=.*')  # 'l = 10' is none: it is the head of a column
COMPOSED = 'composed.yml'
MODELS_MARK = '# models: written by tools/study/build_results.py'


class ResultsError(ValueError):
    """A mark that cannot be filled; names page and mark."""


@dataclass(frozen=True)
class Stale:
    """A mark whose text differs from its run."""

    page: Path
    mark: str

    def __str__(self) -> str:
        """Name the page and the block."""
        return f'{self.page}: {self.mark}'


@dataclass
class Request:
    """What a mark asks for, split up."""

    run: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, what: str) -> 'Request':
        """Split a mark's words; quoted ones may hold spaces."""
        run, kind, *others = shlex.split(what)
        options = dict(word.split('=', 1) for word in others if OPTION.fullmatch(word))
        words = [word for word in others if not OPTION.fullmatch(word)]
        return cls(run, kind, options, words)


class ResultPages:
    """All pages of a repository that show results.

    Args:
        root: Of the repository.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._run = lru_cache(maxsize=None)(lambda name: Run.read(self.root, name))
        self._render = lru_cache(maxsize=None)(self._render_block)

    def pages(self) -> list[Path]:
        """Return the pages that may hold marks."""
        folders = [self.root, self.root / 'docs', *sorted(self._config_folders())]
        return [path for folder in folders for path in sorted(folder.glob('*.md'))]

    def metafiles(self) -> list[Path]:
        """Return the metafiles, whose models are written here."""
        return sorted(self.root.glob('configs/*/metafile.yml'))

    def build(self, *, is_check: bool = False) -> list[Stale]:
        """Fill all marks.

        Args:
            is_check: Write nothing.

        Returns:
            What differed.

        Raises:
            ResultsError: A mark cannot be filled.
        """
        stale = []
        for path in self.pages():
            stale += self._update(path, self._fill, is_check)
        for path in self.metafiles():
            stale += self._update(path, self._fill_metafile, is_check)
        return stale

    def value(self, what: str) -> str:
        """Look up what the mark of a value asks for, such as `camvid variants DFF 5`.

        `part=mean` leaves a spread away, `nth=2` takes the second of such cells.

        Raises:
            ValueError: It names no cell.
        """
        request = Request.parse(what)
        options = dict(request.options)
        nth, part = options.pop('nth', None), options.pop('part', None)
        if len(request.words) != 2 or part not in (None, 'mean'):
            raise ValueError(
                'a value is named by RUN KIND [option=...] ROW COLUMN, part= can only '
                f'be mean; got {what!r}'
            )
        text = self._render(request.run, request.kind, tuple(options.items()))
        cell = find_cell(text, *request.words, nth=int(nth) if nth else None)
        return cell.split(' ± ')[0] if part else cell

    def block(self, what: str, page: Path) -> str:
        """Write the text of a block for a page: a table, and how it was made."""
        request = Request.parse(what)
        if request.run == 'composed':
            return self._compose(request.kind, page)
        if request.run == 'configs':
            return list_configs(self.root, request.kind)
        options = dict(request.options)
        command = options.pop('command', None)
        if request.words:
            raise ValueError(f'a block takes options only, got {request.words}')
        text = self._render(request.run, request.kind, tuple(options.items()))
        return f'{text}\n\n{self._run(request.run).caption(command)}'

    def _render_block(self, run: str, kind: str, options: tuple) -> str:
        return render(self._run(run), kind, dict(options))

    def _compose(self, name: str, page: Path) -> str:
        """Put a table together of values: `docs/runs/composed.yml`."""
        path = self.root / 'docs/runs' / COMPOSED
        tables = yaml.safe_load(path.read_text(encoding='utf-8'))
        if name not in tables:
            raise ValueError(f'composed tables are {list(tables)}, got {name!r}')
        runs: dict[str, Run] = {}

        def fill(cell: str) -> str:
            for what in re.findall(r'\{(.*?)\}', cell):
                run = Request.parse(what).run
                runs[run] = self._run(run)
            return re.sub(r'\{(.*?)\}', lambda m: self.value(m[1]), cell)

        rows = [[fill(str(cell)) for cell in row] for row in tables[name]['rows']]
        described = [
            f'- [{run.name}]({link(run.folder, page)}): {run.describe()} *Commands:* '
            f'[run.yml]({link(run.folder / RUN_FILE, page)})'
            for run in runs.values()
        ]
        lines = '\n'.join(wrap(line, indent='  ') for line in described)
        return f'{to_markdown(tables[name]["head"], rows)}\n\n{lines}'

    def _config_folders(self) -> list[Path]:
        return [path.parent for path in self.root.glob('configs/*/README.md')]

    def _update(
        self, path: Path, fill: Callable[[str, Path], tuple], is_check: bool
    ) -> list[Stale]:
        text = path.read_text(encoding='utf-8')
        new, marks = fill(text, path)
        if marks and not is_check:
            with write_atomically(path) as temporary:
                temporary.write_text(new, encoding='utf-8')
        return [Stale(path.relative_to(self.root), mark) for mark in marks]

    def _fill(self, text: str, page: Path) -> tuple[str, list[str]]:
        """Return the page with its marks filled, and the marks that differed."""
        stale: list[str] = []

        def fill(match: re.Match, body: Callable[[str], str]) -> str:
            mark = match['open'].strip()
            if any(inner in match['body'] for inner in MARKS[:1]):
                raise ResultsError(f'{page}: no <!-- end --> after {mark}')
            try:
                new = body(match['what'])
            except (ValueError, FileNotFoundError, KeyError) as error:
                raise ResultsError(f'{page}: {mark}: {error}') from error
            if new != match['body']:
                stale.append(mark)
            return match['open'] + new + match['close']

        if first := AT_LINE_START.search(text):
            raise ResultsError(f'{page}: {first[1]} must not begin a line')
        new = BLOCK.sub(lambda m: fill(m, lambda w: self.block(w, page) + '\n'), text)
        new = VALUE.sub(lambda m: fill(m, self.value), new)
        closed = len(BLOCK.findall(new)), len(VALUE.findall(new))
        if closed != tuple(new.count(mark) for mark in MARKS):
            raise ResultsError(f'{page}: a mark is not closed')
        return new, stale

    def _fill_metafile(self, text: str, path: Path) -> tuple[str, list[str]]:
        """Write the models below the mark of a metafile anew."""
        head, mark, body = text.partition(MODELS_MARK)
        if not mark:
            raise ResultsError(f'{path}: no line {MODELS_MARK!r}')
        collection = yaml.safe_load(head)['Collections'][0]['Name']
        results = self._results()
        try:
            new = write_models(self.root, path.parent.name, collection, results)
        except ValueError as error:
            raise ResultsError(f'{path}: {error}') from error
        return f'{head}{mark}\n{new}', [] if body == f'\n{new}' else [MODELS_MARK]

    def _results(self) -> dict[str, list[tuple[str, dict[str, float]]]]:
        """Read `models` of all runs: by config, data set and figures."""
        found: dict[str, list] = {}
        for path in sorted(self.root.glob('docs/runs/*/run.yml')):
            run = self._run(path.parent.name)
            for model in run.info.get('models', ()):
                try:
                    figures = {
                        name: float(self.value(f'{run.name} {what}'))
                        for name, what in model['metrics'].items()
                    }
                except (ValueError, AttributeError) as error:
                    raise ResultsError(f'{path}: {model}: {error}') from error
                found.setdefault(model['config'], []).append(
                    (model['dataset'], figures)
                )
        return found
