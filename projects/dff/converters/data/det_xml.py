"""ImageNet DET annotations (one XML an image) to COCO, for training beside VID.

Layout: ROOT/Data/DET/SPLIT/.../NAME.JPEG and ROOT/Annotations/DET/SPLIT/.../NAME.xml.
Of DET's 200 classes the 30 of VID are kept, under VID's labels.
"""

from pathlib import Path

from PIL import Image, UnidentifiedImageError
from rich.progress import track

from dff.datasets.vid_annotations import VID_CLASSES, WNID_TO_CLASS, read_xml

from .cocovid import CocoVIDWriter
from .imagenet_lists import read_frame_list
from .vid_xml import IMAGE_SUFFIX, add_objects


def convert_det(
    root: str | Path,
    out_file: str | Path,
    *,
    split: str = 'train',
    images: str | Path | None = None,
    check_images: bool = True,
) -> CocoVIDWriter:
    """Convert stills of DET to a json of images without videos.

    File names are relative to Data/DET. Boxes are read as those of VID are. Boxes of
    the other 170 classes are left out, and so is an image that keeps no box; both are
    counted.

    Args:
        root: Folder that holds Data and Annotations.
        out_file: The json to write.
        split: `train` or `val`.
        images: List of images to take (DET_train_30classes.txt); default: every image
            of the split that has an XML.
        check_images: Whether every image must exist. Its size is then the file's own
            (as stored, whatever the EXIF orientation), not what the XML says.

    Raises:
        FileNotFoundError: An XML or an image does not exist (it is named).
        ValueError: An unreadable XML, image or list.
    """
    root = Path(root)
    names = _listed(Path(images), split) if images else _found(root, split)
    writer = CocoVIDWriter(VID_CLASSES)
    for name in track(names, f'DET {split}'):
        _add_still(writer, root, name, check_images=check_images)
    writer.write(out_file)
    return writer


def _listed(path: Path, split: str) -> list[str]:
    names = {name for name in read_frame_list(path) if name.startswith(f'{split}/')}
    if not names:
        raise ValueError(f'{path} names no {split} image of DET')
    return sorted(names)


def _found(root: Path, split: str) -> list[str]:
    base = root / 'Annotations' / 'DET'
    paths = (base / split).rglob('*.xml')
    names = sorted(path.relative_to(base).with_suffix('').as_posix() for path in paths)
    if not names:
        raise FileNotFoundError(f'no {split} images under {base}')
    return names


def _add_still(
    writer: CocoVIDWriter, root: Path, name: str, *, check_images: bool
) -> None:
    xml_path = root / 'Annotations' / 'DET' / f'{name}.xml'
    if not xml_path.is_file():
        raise FileNotFoundError(f'annotation {xml_path} does not exist')
    size, objects = read_xml(xml_path)
    wanted = [item for item in objects if item.wnid in WNID_TO_CLASS]
    for _ in range(len(objects) - len(wanted)):
        writer.count('other', str(xml_path))
    if wanted and check_images:
        stored = _stored_size(root / 'Data' / 'DET' / f'{name}{IMAGE_SUFFIX}', xml_path)
        if stored != size:
            writer.count('size', str(xml_path))
        size = stored
    image_id = writer.add_image(f'{name}{IMAGE_SUFFIX}', size)
    if not add_objects(writer, image_id, wanted, place=xml_path, skip_others=True):
        writer.images.pop()
        writer.count('empty', str(xml_path))


def _stored_size(path: Path, xml_path: Path) -> tuple[int, int]:
    """Read (width, height) from an image's header; the EXIF orientation is ignored."""
    if not path.is_file():
        raise FileNotFoundError(f'{xml_path} annotates a missing image {path}')
    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise ValueError(f'cannot read image {path}') from error
