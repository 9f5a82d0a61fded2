"""ImageNet VID and DET annotations (one XML a frame) to CocoVID.

Layout: ROOT/Data/VID/SPLIT/.../SNIPPET/000000.JPEG and
ROOT/Annotations/VID/SPLIT/.../SNIPPET/000000.xml; the stills of DET are in
ROOT/Data/DET and ROOT/Annotations/DET.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
from rich.progress import track

from .cocovid import CocoVIDWriter

IMAGE_SUFFIX = '.JPEG'

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
    """One object of an XML file; box (x1, y1, x2, y2) as it is printed there."""

    wnid: str
    box: tuple[float, float, float, float]
    track_id: int


def read_xml(path: Path) -> tuple[tuple[int, int], list[XmlObject]]:
    """Read the (width, height) and the objects of one XML file.

    Raises:
        ValueError: The file cannot be read as an annotation (it is named).
    """
    try:
        root = ElementTree.parse(path).getroot()
        size = root.find('size')
        width, height = (int(size.find(key).text) for key in ('width', 'height'))
        objects = []
        for item in root.findall('object'):
            box = item.find('bndbox')
            corners = (
                float(box.find(k).text) for k in ('xmin', 'ymin', 'xmax', 'ymax')
            )
            track = item.find('trackid')
            objects.append(
                XmlObject(
                    wnid=item.find('name').text.strip(),
                    box=tuple(corners),
                    track_id=-1 if track is None else int(track.text),
                )
            )
    except (ElementTree.ParseError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f'cannot read annotation {path}: {error}') from error
    return (width, height), objects


def read_frame_list(path: Path) -> set[str]:
    """Read a list of labelled frames.

    A line is `SNIPPET/FRAME NUMBER` or `SNIPPET NUMBER FRAME LENGTH` (both are
    forms of the released lists); SNIPPET starts at the split.

    Returns:
        Names `SPLIT/.../SNIPPET/000000`.
    """
    names = set()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words = line.split()
        if len(words) == 4:
            names.add(f'{words[0]}/{int(words[2]):06d}')
        elif len(words) == 2:
            names.add(words[0])
        elif words:
            raise ValueError(
                f'{path}:{number}: expected SNIPPET/FRAME NUMBER or SNIPPET '
                f'NUMBER FRAME LENGTH, got {line!r}'
            )
    return names


def _list_frames(root: Path, kind: str, split: str) -> list[PurePosixPath]:
    """List SPLIT/.../SNIPPET/000000 of all images and annotations, sorted."""
    if kind not in ('VID', 'DET'):
        raise ValueError(f'kind must be VID or DET, got {kind!r}')
    names = set()
    for folder, suffix in (('Annotations', '.xml'), ('Data', IMAGE_SUFFIX)):
        base = root / folder / kind
        for path in (base / split).rglob(f'*{suffix}'):
            names.add(PurePosixPath(path.relative_to(base).with_suffix('').as_posix()))
    if not names:
        raise FileNotFoundError(f'no {split} frames under {root}/Annotations/{kind}')
    return sorted(names)


def convert_vid(
    root: str | Path,
    out_file: str | Path,
    *,
    split: str,
    kind: Literal['VID', 'DET'] = 'VID',
    labelled_frames: str | Path | None = None,
    check_images: bool = True,
    ignore_other_classes: bool = False,
) -> CocoVIDWriter:
    """Convert one split to a CocoVID json, with file names relative to Data/KIND.

    A frame without XML, or not named by `labelled_frames`, is unlabelled. Of DET only
    the named images are kept, and only objects of the 30 classes.

    Args:
        root: Folder that holds Data and Annotations.
        out_file: The json to write.
        split: `train`, `val` or `test`.
        kind: Videos (VID) or stills (DET).
        labelled_frames: List of frames to train on, see `read_frame_list`.
        check_images: Whether every frame's image must exist.
        ignore_other_classes: Leave out other classes, counted.

    Raises:
        FileNotFoundError: An image that an annotation names does not exist.
        ValueError: An unknown class, an unreadable XML.
    """
    root = Path(root)
    names = _list_frames(root, kind, split)
    wanted = None if labelled_frames is None else read_frame_list(Path(labelled_frames))
    if wanted is not None and wanted.isdisjoint(str(name) for name in names):
        raise ValueError(
            f'{labelled_frames} names no {split} frame of {kind} in {root}'
        )
    if wanted is not None and kind == 'DET':
        names = [name for name in names if str(name) in wanted]
    converter = _Converter(
        root / 'Data' / kind,
        root / 'Annotations' / kind,
        wanted=wanted,
        check_images=check_images,
        ignore_other_classes=ignore_other_classes or kind == 'DET',
    )
    add = converter.add_frame if kind == 'VID' else converter.add_still
    for name in track(names, f'{kind} {split}'):
        add(name)
    converter.writer.write(out_file)
    return converter.writer


@dataclass
class _Converter:
    """What a conversion knows while it goes from frame to frame."""

    image_root: Path
    xml_root: Path
    wanted: set[str] | None
    check_images: bool
    ignore_other_classes: bool
    writer: CocoVIDWriter = field(default_factory=lambda: CocoVIDWriter(VID_CLASSES))
    snippet: PurePosixPath | None = None
    video_id: int = -1
    size: tuple[int, int] | None = None  # of the snippet's last frame

    def add_frame(self, name: PurePosixPath) -> None:
        """Add a frame of a snippet; names must come in order."""
        if name.parent != self.snippet:
            self.snippet, self.size = name.parent, None
            self.video_id = self.writer.add_video(str(name.parent))
        image_path, xml_path = self._paths(name)
        objects: list[XmlObject] = []
        if xml_path.is_file():
            self.size, objects = read_xml(xml_path)
        elif self.size is None:
            self.size = _image_size(image_path)
        is_labelled = xml_path.is_file() and (
            self.wanted is None or str(name) in self.wanted
        )
        image_id = self.writer.add_image(
            f'{name}{IMAGE_SUFFIX}',
            self.size,
            video_id=self.video_id,
            frame_id=int(name.name),
            is_labelled=is_labelled,
        )
        for item in objects if is_labelled else ():
            self._add_object(image_id, item, xml_path)

    def add_still(self, name: PurePosixPath) -> None:
        """Add an image without a video, unless it holds none of the 30 classes."""
        _, xml_path = self._paths(name)
        if not xml_path.is_file():
            return
        size, objects = read_xml(xml_path)
        if not any(item.wnid in WNID_TO_CLASS for item in objects):
            return
        image_id = self.writer.add_image(f'{name}{IMAGE_SUFFIX}', size)
        for item in objects:
            self._add_object(image_id, item, xml_path)

    def _paths(self, name: PurePosixPath) -> tuple[Path, Path]:
        image_path = self.image_root / f'{name}{IMAGE_SUFFIX}'
        xml_path = self.xml_root / f'{name}.xml'
        if self.check_images and not image_path.is_file():
            raise FileNotFoundError(
                f'{xml_path} annotates a missing image {image_path}'
            )
        return image_path, xml_path

    def _add_object(self, image_id: int, item: XmlObject, xml_path: Path) -> None:
        if item.wnid not in WNID_TO_CLASS:
            if self.ignore_other_classes:
                self.writer.count('other', str(xml_path))
                return
            raise ValueError(
                f'{xml_path}: unknown class {item.wnid!r}, expected one of the 30 '
                'of ImageNet VID'
            )
        self.writer.add_box(
            image_id,
            item.box,
            label=VID_WNIDS.index(item.wnid),
            place=str(xml_path),
            instance_id=item.track_id,
        )


def _image_size(path: Path) -> tuple[int, int]:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f'cannot read frame {path}')
    return image.shape[1], image.shape[0]
