"""Convert ImageNet DET annotations (one XML file per image), to train with VID.

Layout: ROOT/Data/DET/SPLIT/.../NAME.JPEG and ROOT/Annotations/DET/SPLIT/.../NAME.xml.
Only the 30 classes of VID are converted, with the labels of VID.
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
    """Convert stills of DET to a JSON file of images without videos.

    File names are relative to Data/DET. Boxes have the format of VID. Boxes of the
    other 170 classes, and images without a remaining box, are dropped and counted.

    Args:
        root: Folder that contains Data and Annotations.
        out_file: JSON file to write.
        split: `train` or `val`.
        images: List of images to convert (DET_train_30classes.txt). None converts
            every image of the split that has an XML file.
        check_images: Whether every image must exist. Sizes are then read from the
            images (ignoring the EXIF orientation) instead of the XML files.

    Raises:
        FileNotFoundError: If an XML file or an image does not exist.
        ValueError: If an XML file, an image or the list cannot be read.
    """
    root = Path(root)
    names = _read_list(Path(images), split) if images else _list_xml(root, split)
    writer = CocoVIDWriter(VID_CLASSES)
    for name in track(names, f'DET {split}'):
        _add_still(writer, root, name, check_images=check_images)
    writer.write(out_file)
    return writer


def _read_list(path: Path, split: str) -> list[str]:
    names = {name for name in read_frame_list(path) if name.startswith(f'{split}/')}
    if not names:
        raise ValueError(f'{path} names no {split} image of DET')
    return sorted(names)


def _list_xml(root: Path, split: str) -> list[str]:
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
    if not add_objects(writer, image_id, wanted, source=xml_path, skip_others=True):
        writer.images.pop()
        writer.count('empty', str(xml_path))


def _stored_size(path: Path, xml_path: Path) -> tuple[int, int]:
    """Read (width, height) from the header of an image, ignoring its orientation."""
    if not path.is_file():
        raise FileNotFoundError(f'{xml_path} annotates a missing image {path}')
    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError as error:
        raise ValueError(f'cannot read image {path}') from error
