"""Convert ImageNet VID annotations (one XML file per frame) to CocoVID.

Layout: ROOT/Data/VID/SPLIT/.../SNIPPET/000000.JPEG and
ROOT/Annotations/VID/SPLIT/.../SNIPPET/000000.xml. `det_xml.py` converts stills of DET.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path, PurePosixPath

import cv2
from rich.progress import track

from dff.datasets.vid_annotations import (
    VID_CLASSES,
    VID_WNIDS,
    WNID_TO_CLASS,
    XmlObject,
    read_xml,
)

from .cocovid import CocoVIDWriter
from .imagenet_lists import read_frame_list, spread_frames

IMAGE_SUFFIX = '.JPEG'


def _list_frames(root: Path, split: str) -> list[PurePosixPath]:
    """List the names SPLIT/.../SNIPPET/000000 of images and annotations, sorted."""
    names = set()
    for folder, suffix in (('Annotations', '.xml'), ('Data', IMAGE_SUFFIX)):
        base = root / folder / 'VID'
        for path in (base / split).rglob(f'*{suffix}'):
            names.add(PurePosixPath(path.relative_to(base).with_suffix('').as_posix()))
    if not names:
        raise FileNotFoundError(f'no {split} frames in {root}/Annotations/VID')
    return sorted(names)


def _read_labelled(path: Path, names: Sequence[PurePosixPath], split: str) -> set[str]:
    """Read the list of labelled frames, and check that `names` contains them."""
    listed = {name for name in read_frame_list(path) if name.startswith(f'{split}/')}
    if not listed:
        raise ValueError(f'{path} names no {split} frame of VID')
    missing = sorted(listed.difference(map(str, names)))
    if missing:
        raise FileNotFoundError(
            f'{path} names {len(missing)} {split} frames of {len(listed)} that have '
            f'neither image nor XML, the first is {missing[0]}'
        )
    return listed


def _spread_labelled(names: Sequence[PurePosixPath], count: int) -> set[str]:
    """Select `count` frames of each snippet; `names` must be sorted."""
    labelled = set()
    for _, group in groupby(names, key=lambda name: name.parent):
        frames = list(group)
        labelled |= {str(frames[i]) for i in spread_frames(len(frames), count)}
    return labelled


def convert_vid(
    root: str | Path,
    out_file: str | Path,
    *,
    split: str,
    labelled_frames: str | Path | None = None,
    frames_per_video: int | None = None,
    check_images: bool = True,
    ignore_other_classes: bool = False,
) -> CocoVIDWriter:
    """Convert a split of VID to a CocoVID JSON file.

    File names are relative to Data/VID. Frames without an XML file, and frames not
    selected by `labelled_frames` or `frames_per_video`, are unlabelled. They are in
    the JSON file, because they may become key frames.

    Args:
        root: Folder that contains Data and Annotations.
        out_file: JSON file to write.
        split: `train`, `val` or `test`.
        labelled_frames: List of frames to train on, see `read_frame_list`.
        frames_per_video: Without a list, number of frames per snippet to train on,
            selected like those of the released list (`spread_frames`).
        check_images: Whether the image of every frame must exist.
        ignore_other_classes: Whether to drop and count objects of other classes.

    Raises:
        FileNotFoundError: If an annotated image or a frame of the list does not exist.
        ValueError: If a class is unknown, or an XML file or the list is invalid.
    """
    if labelled_frames is not None and frames_per_video is not None:
        raise ValueError(
            'set labelled_frames or frames_per_video, not both, got '
            f'{labelled_frames} and {frames_per_video}'
        )
    root = Path(root)
    names = _list_frames(root, split)
    labelled = None
    if labelled_frames is not None:
        labelled = _read_labelled(Path(labelled_frames), names, split)
    elif frames_per_video is not None:
        labelled = _spread_labelled(names, frames_per_video)
    converter = _Converter(
        root, labelled, check_images=check_images, skip_others=ignore_other_classes
    )
    for name in track(names, f'VID {split}'):
        converter.add_frame(name)
    converter.writer.write(out_file)
    return converter.writer


@dataclass
class _Converter:
    """State of a conversion from frame to frame."""

    root: Path
    labelled: set[str] | None  # names of labelled frames; None is all with an XML
    check_images: bool
    skip_others: bool
    writer: CocoVIDWriter = field(default_factory=lambda: CocoVIDWriter(VID_CLASSES))
    snippet: PurePosixPath | None = None
    video_id: int = -1
    size: tuple[int, int] | None = None  # (width, height) of the last frame

    def add_frame(self, name: PurePosixPath) -> None:
        """Add a frame of a snippet. Frames must be added in order.

        Raises:
            FileNotFoundError: If images are checked and the image does not exist.
        """
        if name.parent != self.snippet:
            self.snippet, self.size = name.parent, None
            self.video_id = self.writer.add_video(str(name.parent))
        image_path = self.root / 'Data' / 'VID' / f'{name}{IMAGE_SUFFIX}'
        xml_path = self.root / 'Annotations' / 'VID' / f'{name}.xml'
        if self.check_images and not image_path.is_file():
            raise FileNotFoundError(
                f'{xml_path} annotates a missing image {image_path}'
            )
        objects: list[XmlObject] = []
        if xml_path.is_file():
            self.size, objects = read_xml(xml_path)
        elif self.size is None:
            self.size = _image_size(image_path)
        is_labelled = xml_path.is_file() and (
            self.labelled is None or str(name) in self.labelled
        )
        image_id = self.writer.add_image(
            f'{name}{IMAGE_SUFFIX}',
            self.size,
            video_id=self.video_id,
            frame_id=int(name.name),
            is_labelled=is_labelled,
        )
        add_objects(
            self.writer,
            image_id,
            objects if is_labelled else (),
            source=xml_path,
            skip_others=self.skip_others,
        )


def add_objects(
    writer: CocoVIDWriter,
    image_id: int,
    objects: Sequence[XmlObject],
    *,
    source: Path,
    skip_others: bool,
) -> int:
    """Add the boxes of one image that have one of the 30 classes.

    Args:
        writer: Writer of the data set.
        image_id: Return value of the writer's `add_image`.
        objects: Objects of any class.
        source: XML file of the objects, for messages.
        skip_others: Whether to count objects of other classes instead of raising.

    Returns:
        The number of boxes that were added and not dropped.

    Raises:
        ValueError: If a class is unknown and `skip_others` is not set.
    """
    num_added = 0
    for item in objects:
        if item.wnid in WNID_TO_CLASS:
            num_added += writer.add_box(
                image_id,
                item.box,
                label=VID_WNIDS.index(item.wnid),
                source=str(source),
                instance_id=item.track_id,
            )
        elif skip_others:
            writer.count('other', str(source))
        else:
            raise ValueError(
                f'{source}: unknown class {item.wnid!r}, expected one of the 30 of '
                'ImageNet VID'
            )
    return num_added


def _image_size(path: Path) -> tuple[int, int]:
    # Annotations and pipelines ignore the EXIF orientation, too.
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f'cannot read frame {path}')
    return image.shape[1], image.shape[0]
