"""The check of options that are counts."""

from typing import Any


def check_count(name: str, value: Any, least: int) -> int:
    """Return a count that a user passes.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(
            f'{name} must be an integer, got {value!r} ({type(value).__name__})'
        )
    if value < least:
        raise ValueError(f'{name} must be at least {least}, got {value}')
    return value
