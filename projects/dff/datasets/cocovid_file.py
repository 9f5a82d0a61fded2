"""Read CocoVID JSON files and check every field that is used."""

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.fileio import load

MAX_NUMBER = 2**53  # JSON writers that use doubles round larger numbers

Check = Callable[[Any], bool]


def _is_int(value: Any) -> bool:
    return type(value) is int and abs(value) <= MAX_NUMBER


def _is_id(value: Any) -> bool:
    return _is_int(value) or isinstance(value, str)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and '\0' not in value and value != ''


def _is_side(value: Any) -> bool:
    return _is_int(value) and value > 0


def _is_flag(value: Any) -> bool:
    return type(value) in (bool, int) and value in (0, 1)


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(v) in (int, float) and abs(v) <= MAX_NUMBER for v in value)
    )


ID, NAME = (_is_id, 'a whole number or text'), (_is_text, 'text')
INT, SIDE = (_is_int, 'a whole number'), (_is_side, 'a whole number > 0')
FLAG, BOX = (_is_flag, 'true or false'), (_is_box, 'four finite numbers (x, y, w, h)')
# check and description of each field; those of the second dict are optional
FIELDS: dict[str, tuple[dict, dict]] = {
    'images': (
        dict(id=ID, file_name=NAME, width=SIDE, height=SIDE),
        dict(video_id=ID, frame_id=INT, is_labelled=FLAG, is_vid_train_frame=FLAG),
    ),
    'annotations': (
        dict(image_id=ID, category_id=ID, bbox=BOX),
        dict(iscrowd=FLAG, ignore=FLAG, instance_id=INT),
    ),
    'categories': (dict(id=ID, name=NAME), {}),
    'videos': (dict(id=ID, name=NAME), {}),
}
LISTS = ('images', 'annotations', 'categories')  # `videos` may be absent


def read_cocovid(path: str, *, backend_args: dict | None = None) -> Mapping:
    """Read a JSON file and check the type of every field that is used.

    Args:
        path: The JSON file.
        backend_args: File backend of the file.

    Returns:
        A mapping with the lists of dicts images, annotations, categories and videos.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not JSON, or a field of an entry is missing or
            wrong.
    """
    try:
        content = load(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'annotation file {path} does not exist') from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is cut off or not JSON: {error!s:.200}') from error
    if not isinstance(content, Mapping) or any(k not in content for k in LISTS):
        raise ValueError(f'{path} must hold the lists {LISTS}')
    content = {'videos': [], **content}
    for name, (required, optional) in FIELDS.items():
        if not isinstance(content[name], list):
            kind = type(content[name]).__name__
            raise ValueError(f'{path}: {name} must be a list, got {kind}')
        for index, entry in enumerate(content[name]):
            check_entry(entry, required, optional, source=f'{path}: {name}[{index}]')
    return content


def check_entry(entry: Any, required: dict, optional: dict, *, source: str) -> None:
    """Check the fields of an entry.

    Args:
        entry: The entry.
        required: Check and description of each field that the entry must have.
        optional: Check and description of each field that it may have.
        source: Where the entry was read, for messages.

    Raises:
        ValueError: If the entry is not a dict, or a field is missing or wrong.
    """
    if not isinstance(entry, dict):
        raise ValueError(f'{source} must be a dict, got {entry!r:.80}')
    for fields, is_needed in ((required, True), (optional, False)):
        for name, (check, what) in fields.items():
            if name not in entry and not is_needed:
                continue
            if name not in entry or not check(entry[name]):
                got = f'{entry[name]!r:.80}' if name in entry else 'nothing'
                raise ValueError(f'{source}: {name} must be {what}, got {got}')
