"""Parse ranges of frames for the command lines of the converters."""

from argparse import ArgumentTypeError


def parse_frames(text: str) -> tuple[int, int | None]:
    """Read `FIRST-LAST` or `FIRST-` (0-based, both included).

    Raises:
        ArgumentTypeError: If the text has neither form.
    """
    first, dash, last = text.partition('-')
    if not dash or not first.isdigit() or not (last == '' or last.isdigit()):
        raise ArgumentTypeError(f'expected FIRST-LAST, got {text!r}')
    return int(first), int(last) if last else None
