"""Text files that users bring."""

from pathlib import Path


def read_text(path: str | Path) -> str:
    """Read UTF-8 text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no UTF-8 text.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist')
    try:
        return path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path} must be UTF-8 text, byte {error.start} is not: {error.reason}'
        ) from error
