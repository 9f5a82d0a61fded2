"""Tables in Markdown."""

from collections.abc import Sequence


def to_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table as Markdown, without a line end behind it."""
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
