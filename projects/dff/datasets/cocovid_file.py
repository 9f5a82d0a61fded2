"""Reading of CocoVID json files: every entry has what it must have, or is named."""

from collections.abc import Callable, Mapping
from typing import Any

from mmengine.fileio import load

MAX_NUMBER = 2**53  # larger ones are not exact in every program that writes json

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
# field: what it must be; those of the second dict may be absent
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
    """Read a json file and look at the type of everything that is used of it.

    Args:
        path: The json file.
        backend_args: Its file backend.

    Returns:
        The lists images, annotations, categories and videos of dicts.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no json, or an entry lacks a field or has a wrong one.
    """
    try:
        content = load(path, backend_args=backend_args)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'annotation file {path} does not exist') from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is cut off or no json: {error!s:.200}') from error
    if not isinstance(content, Mapping) or any(k not in content for k in LISTS):
        raise ValueError(f'{path} must hold the lists {LISTS}')
    content = {'videos': [], **content}
    for name, (required, optional) in FIELDS.items():
        if not isinstance(content[name], list):
            kind = type(content[name]).__name__
            raise ValueError(f'{path}: {name} must be a list, got {kind}')
        for place, entry in enumerate(content[name]):
            check_entry(entry, required, optional, place=f'{path}: {name}[{place}]')
    return content


def check_entry(entry: Any, required: dict, optional: dict, *, place: str) -> None:
    """Refuse an entry that lacks a field or has a wrong one (ValueError)."""
    if not isinstance(entry, dict):
        raise ValueError(f'{place} must be a dict, got {entry!r:.80}')
    for fields, is_needed in ((required, True), (optional, False)):
        for name, (check, what) in fields.items():
            if name not in entry and not is_needed:
                continue
            if name not in entry or not check(entry[name]):
                got = f'{entry[name]!r:.80}' if name in entry else 'nothing'
                raise ValueError(f'{place}: {name} must be {what}, got {got}')
