"""ImageNet VID annotations (one XML a frame) to CocoVID.

Layout: ROOT/Data/VID/SPLIT/.../SNIPPET/000000.JPEG and
ROOT/Annotations/VID/SPLIT/.../SNIPPET/000000.xml.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
from rich.progress import track

from .cocovid import CocoVIDWriter

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


def _list_frames(root: Path, split: str, image_suffix: str) -> list[PurePosixPath]:
    """List SPLIT/.../SNIPPET/000000 of all images and annotations, sorted."""
    names = set()
    for kind, suffix in (('Annotations', '.xml'), ('Data', image_suffix)):
        base = root / kind / 'VID'
        for path in (base / split).rglob(f'*{suffix}'):
            names.add(PurePosixPath(path.relative_to(base).with_suffix('').as_posix()))
    if not names:
        raise FileNotFoundError(f'no {split} frames under {root}/Annotations/VID')
    return sorted(names)


def convert_vid(
    root: str | Path,
    out_file: str | Path,
    *,
    split: str,
    labelled_frames: str | Path | None = None,
    check_images: bool = True,
    ignore_other_classes: bool = False,
    image_suffix: str = '.JPEG',
) -> CocoVIDWriter:
    """Convert one split to a CocoVID json.

    File names are relative to ROOT/Data/VID. A frame without XML is unlabelled;
    with `labelled_frames` so is every frame that the list does not name, and
    its boxes are left out.

    Args:
        root: Folder that holds Data and Annotations.
        out_file: The json to write.
        split: `train`, `val` or `test`.
        labelled_frames: List of frames to train on, see `read_frame_list`.
        check_images: Whether every frame's image must exist.
        ignore_other_classes: Leave out objects of other classes than the 30,
            counted, instead of raising.
        image_suffix: Suffix of the images.

    Returns:
        The written set, for its counts.

    Raises:
        FileNotFoundError: An image that an annotation names does not exist.
        ValueError: An unknown class, an unreadable XML.
    """
    root = Path(root)
    names = _list_frames(root, split, image_suffix)
    labelled = (
        None if labelled_frames is None else read_frame_list(Path(labelled_frames))
    )
    if labelled is not None and not labelled & {str(name) for name in names}:
        raise ValueError(f'{labelled_frames} names no frame of {root}, split {split}')
    converter = _VidConverter(root, labelled, check_images, ignore_other_classes)
    snippet, size = None, None
    for name in track(names, f'VID {split}'):
        if name.parent != snippet:
            snippet, size = name.parent, None
            video_id = converter.writer.add_video(str(snippet))
        size = converter.add_frame(name, video_id, image_suffix, size)
    converter.writer.write(out_file)
    if converter.other_objects:
        print(f'left out {converter.other_objects} objects of other classes')
    return converter.writer


class _VidConverter:
    """What stays the same over the frames of one conversion."""

    def __init__(
        self,
        root: Path,
        labelled: set[str] | None,
        check_images: bool,
        ignore_other_classes: bool,
    ) -> None:
        self.root = root
        self.labelled = labelled
        self.check_images = check_images
        self.ignore_other_classes = ignore_other_classes
        self.other_objects = 0
        self.writer = CocoVIDWriter(VID_CLASSES)

    def add_frame(
        self,
        name: PurePosixPath,
        video_id: int,
        image_suffix: str,
        size: tuple[int, int] | None,
    ) -> tuple[int, int]:
        """Add one frame and return its size, which a frame without XML inherits."""
        image_path = self.root / 'Data' / 'VID' / f'{name}{image_suffix}'
        xml_path = self.root / 'Annotations' / 'VID' / f'{name}.xml'
        if self.check_images and not image_path.is_file():
            raise FileNotFoundError(
                f'{xml_path} annotates a missing image {image_path}'
            )
        objects: list[XmlObject] = []
        if xml_path.is_file():
            size, objects = read_xml(xml_path)
        elif size is None:
            size = _image_size(image_path)
        is_labelled = xml_path.is_file() and (
            self.labelled is None or str(name) in self.labelled
        )
        image_id = self.writer.add_image(
            f'{name}{image_suffix}',
            size,
            video_id=video_id,
            frame_id=int(name.name),
            is_labelled=is_labelled,
        )
        for item in objects if is_labelled else ():
            self._add_object(image_id, item, xml_path)
        return size

    def _add_object(self, image_id: int, item: XmlObject, xml_path: Path) -> None:
        if item.wnid not in WNID_TO_CLASS:
            if self.ignore_other_classes:
                self.other_objects += 1
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
