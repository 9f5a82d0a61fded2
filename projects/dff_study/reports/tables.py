"""Text tables, and the mean and spread of a figure over seeds."""

from collections.abc import Sequence

import pandas as pd
from tabulate import tabulate

NOTHING = '-'  # cell of a figure that does not exist


def to_markdown(table: pd.DataFrame) -> str:
    """Write a table of text as Markdown, with the labels of its rows."""
    return rows_to_markdown(['', *map(str, table.columns)], table.reset_index().values)


def rows_to_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows of text as Markdown; cells are shown as they are."""
    return tabulate(rows, head, tablefmt='github', disable_numparse=True)


def half_range(values: Sequence[float]) -> float:
    """Return half the distance from the smallest value to the largest."""
    return (max(values) - min(values)) / 2


def format_spread(values: pd.Series) -> str:
    """Write mean ± half the range of the values that are numbers."""
    known = values.dropna()
    if known.empty:
        return NOTHING
    return f'{known.mean():.1f} ± {half_range(known):.1f}'
