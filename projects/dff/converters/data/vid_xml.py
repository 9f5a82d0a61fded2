"""ImageNet VID annotations (one XML a frame) to CocoVID.

Layout: ROOT/Data/VID/SPLIT/.../SNIPPET/000000.JPEG and
ROOT/Annotations/VID/SPLIT/.../SNIPPET/000000.xml. The stills of DET: `det_xml.py`.
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
    """List SPLIT/.../SNIPPET/000000 of all images and annotations, sorted."""
    names = set()
    for folder, suffix in (('Annotations', '.xml'), ('Data', IMAGE_SUFFIX)):
        base = root / folder / 'VID'
        for path in (base / split).rglob(f'*{suffix}'):
            names.add(PurePosixPath(path.relative_to(base).with_suffix('').as_posix()))
    if not names:
        raise FileNotFoundError(f'no {split} frames under {root}/Annotations/VID')
    return sorted(names)


def _read_wanted(path: Path, names: Sequence[PurePosixPath], split: str) -> set[str]:
    """Read the list of labelled frames, and see that the tree has them."""
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


def _spread_wanted(names: Sequence[PurePosixPath], count: int) -> set[str]:
    """Choose `count` frames of each snippet; `names` must be sorted."""
    wanted = set()
    for _, group in groupby(names, key=lambda name: name.parent):
        frames = list(group)
        wanted |= {str(frames[i]) for i in spread_frames(len(frames), count)}
    return wanted


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
    """Convert one split of VID to a CocoVID json, file names relative to Data/VID.

    A frame without XML, or not chosen by `labelled_frames` or `frames_per_video`, is
    unlabelled: it stays in the json, as key frames are drawn from it.

    Args:
        root: Folder that holds Data and Annotations.
        out_file: The json to write.
        split: `train`, `val` or `test`.
        labelled_frames: List of frames to train on, see `read_frame_list`.
        frames_per_video: Without a list, how many frames of each snippet to train
            on, spread as in the released list (`spread_frames`).
        check_images: Whether every frame's image must exist.
        ignore_other_classes: Leave out other classes, counted.

    Raises:
        FileNotFoundError: An image that an annotation names, or a frame that the list
            names, does not exist.
        ValueError: An unknown class, an unreadable XML or list.
    """
    if labelled_frames is not None and frames_per_video is not None:
        raise ValueError(
            'give labelled_frames or frames_per_video, not both, got '
            f'{labelled_frames} and {frames_per_video}'
        )
    root = Path(root)
    names = _list_frames(root, split)
    wanted = None
    if labelled_frames is not None:
        wanted = _read_wanted(Path(labelled_frames), names, split)
    elif frames_per_video is not None:
        wanted = _spread_wanted(names, frames_per_video)
    converter = _Converter(
        root, wanted, check_images=check_images, skip_others=ignore_other_classes
    )
    for name in track(names, f'VID {split}'):
        converter.add_frame(name)
    converter.writer.write(out_file)
    return converter.writer


@dataclass
class _Converter:
    """What a conversion knows while it goes from frame to frame."""

    root: Path
    wanted: set[str] | None
    check_images: bool
    skip_others: bool
    writer: CocoVIDWriter = field(default_factory=lambda: CocoVIDWriter(VID_CLASSES))
    snippet: PurePosixPath | None = None
    video_id: int = -1
    size: tuple[int, int] | None = None  # of the snippet's last frame

    def add_frame(self, name: PurePosixPath) -> None:
        """Add a frame of a snippet; names must come in order."""
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
            self.wanted is None or str(name) in self.wanted
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
            place=xml_path,
            skip_others=self.skip_others,
        )


def add_objects(
    writer: CocoVIDWriter,
    image_id: int,
    objects: Sequence[XmlObject],
    *,
    place: Path,
    skip_others: bool,
) -> int:
    """Add the boxes of one image that are of the 30 classes.

    Args:
        writer: Of the set.
        image_id: What the writer's `add_image` returned.
        objects: Of any class.
        place: Their XML file, for messages.
        skip_others: Count objects of other classes instead of raising.

    Returns:
        How many boxes were kept.

    Raises:
        ValueError: An unknown class.
    """
    num_kept = 0
    for item in objects:
        if item.wnid in WNID_TO_CLASS:
            num_kept += writer.add_box(
                image_id,
                item.box,
                label=VID_WNIDS.index(item.wnid),
                place=str(place),
                instance_id=item.track_id,
            )
        elif skip_others:
            writer.count('other', str(place))
        else:
            raise ValueError(
                f'{place}: unknown class {item.wnid!r}, expected one of the 30 of '
                'ImageNet VID'
            )
    return num_kept


def _image_size(path: Path) -> tuple[int, int]:
    # As stored: annotations and pipelines ignore the EXIF orientation, too.
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f'cannot read frame {path}')
    return image.shape[1], image.shape[0]
