"""Annotations of ImageNet VID and DET as published: one XML file per image."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from .cocovid_file import MAX_NUMBER

MAX_SIDE = 2**31 - 1  # pixels
# what ElementTree raises; LookupError: an encoding that Python does not know
UNREADABLE = (
    ElementTree.ParseError,
    AttributeError,
    ValueError,
    TypeError,
    LookupError,
)

# The 30 classes in the usual order (label 0 is airplane).
WNID_TO_CLASS = {
    'n02691156': 'airplane',
    'n02419796': 'antelope',
    'n02131653': 'bear',
    'n02834778': 'bicycle',
    'n01503061': 'bird',
    'n02924116': 'bus',
    'n02958343': 'car',
    'n02402425': 'cattle',
    'n02084071': 'dog',
    'n02121808': 'domestic_cat',
    'n02503517': 'elephant',
    'n02118333': 'fox',
    'n02510455': 'giant_panda',
    'n02342885': 'hamster',
    'n02374451': 'horse',
    'n02129165': 'lion',
    'n01674464': 'lizard',
    'n02484322': 'monkey',
    'n03790512': 'motorcycle',
    'n02324045': 'rabbit',
    'n02509815': 'red_panda',
    'n02411705': 'sheep',
    'n01726692': 'snake',
    'n02355227': 'squirrel',
    'n02129604': 'tiger',
    'n04468005': 'train',
    'n01662784': 'turtle',
    'n04530566': 'watercraft',
    'n02062744': 'whale',
    'n02391049': 'zebra',
}
VID_WNIDS = tuple(WNID_TO_CLASS)
VID_CLASSES = tuple(WNID_TO_CLASS.values())


@dataclass(frozen=True)
class XmlObject:
    """An object of an XML file, with the box (x1, y1, x2, y2) as in the file."""

    wnid: str
    box: tuple[float, float, float, float]
    track_id: int


def read_xml(path: Path) -> tuple[tuple[int, int], list[XmlObject]]:
    """Read the (width, height) and the objects of one XML file.

    Raises:
        ValueError: If the file is not a valid annotation.
    """
    try:
        root = ElementTree.parse(path).getroot()
        width, height = (int(_text(root, f'size/{k}')) for k in ('width', 'height'))
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise ValueError(f'the size must be 1..{MAX_SIDE}, got {width} x {height}')
        objects = []
        for item in root.findall('object'):
            x1, y1, x2, y2 = (
                float(_text(item, f'bndbox/{k}'))
                for k in ('xmin', 'ymin', 'xmax', 'ymax')
            )
            track = item.findtext('trackid')
            objects.append(
                XmlObject(
                    wnid=_text(item, 'name').strip(),
                    box=(x1, y1, x2, y2),
                    track_id=-1 if track is None else _track_id(track),
                )
            )
    except UNREADABLE as error:
        raise ValueError(f'cannot read annotation {path}: {error}') from error
    return (width, height), objects


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if not text:
        raise ValueError(f'{element.tag} must have a {path}')
    return text


def _track_id(text: str) -> int:
    track_id = int(text)
    if abs(track_id) > MAX_NUMBER:
        raise ValueError(f'trackid must be {MAX_NUMBER} at most, got {text}')
    return track_id
