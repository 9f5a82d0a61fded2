"""Generated pages of the documentation.

`docs/runs/README.md` says how to add a run.
"""

from pathlib import Path

import jinja2

from .result_tables import ResultTables, mean_of
from .runs import RUNS
from .tables import to_markdown

DOCS = 'docs'
TEMPLATE_SUFFIX = '.jinja'  # docs/runs/NAME.md.jinja makes docs/NAME.md
TABLES = 'tables.md'  # in the folder of a run of run_variants.py


def write_pages(root: Path) -> dict[Path, str]:
    """Write the text of all generated files, without touching the files.

    Args:
        root: Of the repository.

    Returns:
        Text by path.

    Raises:
        FileNotFoundError: A run or a file of a run does not exist.
        ValueError: A `run.yml` is incomplete.
        jinja2.TemplateError: The template is wrong, or names no row or column.
    """
    tables = ResultTables(root)
    templates = sorted((root / RUNS).glob(f'*.md{TEMPLATE_SUFFIX}'))
    pages = {
        root / DOCS / template.stem: fill_template(root, template.name, tables)
        for template in templates
    }
    for name in tables.variant_runs():
        path = root / RUNS / name / TABLES
        source = tables.run(name).describe('..')
        pages[path] = f'# Tables of {name}\n\n{source}\n\n{tables.report(name)}\n'
    return pages


def fill_template(root: Path, name: str, tables: ResultTables) -> str:
    """Fill a template of docs/runs, such as results.md.jinja.

    A template calls methods of `ResultTables` as `tables`, and `describe(RUN)`.
    Filters: `markdown` writes a table, `mean` drops the spread of a cell.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(root / RUNS),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    environment.filters |= dict(markdown=to_markdown, mean=mean_of)
    template = environment.get_template(name)
    return template.render(
        tables=tables, describe=lambda name: tables.run(name).describe()
    )


def update_pages(root: Path, *, is_check: bool = False) -> list[Path]:
    """Write the generated files that differ from the runs.

    Args:
        root: Of the repository.
        is_check: Write nothing.

    Returns:
        The files that differed. For what it raises see `write_pages`.
    """
    stale = []
    for path, text in write_pages(root).items():
        if path.is_file() and path.read_text(encoding='utf-8') == text:
            continue
        stale.append(path)
        if not is_check:
            path.write_text(text, encoding='utf-8')
    return stale
