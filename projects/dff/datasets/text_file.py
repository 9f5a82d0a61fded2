"""Read text files of users."""

from pathlib import Path


def read_text(path: str | Path) -> str:
    """Read a UTF-8 text file.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not UTF-8 text.
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
