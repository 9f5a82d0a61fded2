"""Evaluate a file of detections on videos, without a model."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.fileio import load
from terminaltables import AsciiTable

from dff.datasets import CocoVIDDataset
from dff.datasets.vid_annotations import VID_CLASSES, VID_WNIDS, read_xml
from dff.evaluation import VIDMetric
from dff.evaluation.detection_files import NOTHING, read_detections
from dff.evaluation.video_metric import quiet
from dff.files import write_json

PREFIX = 'vid/'


@dataclass(frozen=True)
class GroundTruth:
    """Annotated frames: the samples of a metric, without predictions."""

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    frames: list[dict[str, Any]] = field(repr=False)

    @property
    def boxes_per_class(self) -> dict[str, int]:
        """Number of boxes to detect, by class."""
        counts = dict.fromkeys(self.classes, 0)
        for frame in self.frames:
            for item in frame['instances'] if frame['is_labelled'] else ():
                counts[self.classes[item['bbox_label']]] += not item['ignore_flag']
        return counts


@dataclass(frozen=True)
class DetectionReport:
    """Figures of one file of detections."""

    num_frames: int
    boxes: dict[str, int]  # by class, without classes that have no box
    figures: dict[str, float]  # means and shares
    class_figures: dict[str, dict[str, float]]

    def write(self, path: str | os.PathLike) -> None:
        """Write the figures as JSON, atomically."""
        content = dict(
            frames=self.num_frames,
            figures=self.figures,
            boxes=self.boxes,
            classes=self.class_figures,
        )
        write_json(content, path)

    def __str__(self) -> str:
        names = [n for n in self.figures if not n.endswith('/share') and n != 'mAP']
        rows = [['class', 'boxes', *names]]
        for cls, row in self.class_figures.items():
            rows.append([cls, str(self.boxes[cls]), *(f'{row[n]:.6f}' for n in names)])
        means = [f'{self.figures[n]:.6f}' for n in names]
        rows.append(['mean', str(sum(self.boxes.values())), *means])
        lines = [f'AP over {self.num_frames} labelled frames', AsciiTable(rows).table]
        lines += [f'{k}: {v:.6f}' for k, v in self.figures.items() if k not in names]
        return '\n'.join(lines)


def evaluate_detections(
    annotations: str | os.PathLike,
    detections: str | os.PathLike,
    *,
    images: str | os.PathLike | None = None,
    iou_thrs: Sequence[float] = (0.5,),
    with_small_box_tolerance: bool = True,
    with_motion_split: bool = False,
    with_motion_tolerance: bool = False,
) -> DetectionReport:
    """Evaluate a results file with `VIDMetric`.

    Args:
        annotations: CocoVID json, or a folder of VID's XML files.
        detections: Results file in a format of `read_detections`.
        images: List of the XML files with one line `NAME IMAGE_ID` per file; by
            default all files of the folder in order, with ids from 1.
        iou_thrs: See `VIDMetric`.
        with_small_box_tolerance: See `VIDMetric`.
        with_motion_split: See `VIDMetric`.
        with_motion_tolerance: See `VIDMetric`.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file cannot be read, or the files do not fit together.
    """
    truth = read_ground_truth(annotations, images=images)
    found = read_detections(detections, category_ids=truth.category_ids)
    unknown = found.keys() - {frame['img_id'] for frame in truth.frames}
    if unknown:
        raise ValueError(
            f'{detections}: image ids must be among those of {annotations}, got '
            f'{len(unknown)} others, such as {min(unknown, key=str)!r}'
        )
    metric = VIDMetric(
        iou_thrs=iou_thrs,
        with_small_box_tolerance=with_small_box_tolerance,
        classwise=True,
        with_motion_split=with_motion_split,
        with_motion_tolerance=with_motion_tolerance,
    )
    metric.dataset_meta = dict(classes=truth.classes)
    for frame in truth.frames:
        predicted = found.get(frame['img_id'], NOTHING).as_instances()
        metric.process(None, [dict(frame, pred_instances=predicted)])
    num_frames = len(metric.results)  # labelled
    with quiet():
        figures = metric.evaluate(len(truth.frames))
    boxes = {name: count for name, count in truth.boxes_per_class.items() if count}
    return _report(num_frames, boxes, truth.classes, figures)


def _report(
    num_frames: int,
    boxes: dict[str, int],
    classes: Iterable[str],
    figures: dict[str, float],
) -> DetectionReport:
    """Separate means from figures of classes, `MEAN_CLASS`; no mean has a `_`."""
    figures = {name.removeprefix(PREFIX): value for name, value in figures.items()}
    means = {name: value for name, value in figures.items() if '_' not in name}
    of_classes = {
        cls: {n: figures[f'{n}_{cls}'] for n in means if f'{n}_{cls}' in figures}
        for cls in classes
        if cls in boxes
    }
    return DetectionReport(num_frames, boxes, means, of_classes)


def read_ground_truth(
    path: str | os.PathLike, *, images: str | os.PathLike | None = None
) -> GroundTruth:
    """Read the ground truth of a CocoVID json or a folder of VID's XML files.

    Args:
        path: The json file or the folder.
        images: List of the XML files, see `evaluate_detections`; None for a json.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file cannot be read, or a json comes with `images`.
    """
    path = Path(path)
    if path.is_dir():
        return _read_xml_folder(path, images)
    if not path.is_file():
        raise FileNotFoundError(f'annotations {path} do not exist')
    if images is not None:
        raise ValueError(f'images must come with a folder of XML files, got {path}')
    try:
        categories = load(path)['categories']
        ids = tuple(category['id'] for category in categories)
        data = CocoVIDDataset(ann_file=str(path), test_mode=True)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} is no CocoVID json: {error!r}') from error
    frames = [data.get_data_info(index) for index in range(len(data))]
    for frame in frames:
        frame.setdefault('is_labelled', True)  # still images
    return GroundTruth(data.metainfo['classes'], ids, frames)


def _read_xml_folder(root: Path, images: str | os.PathLike | None) -> GroundTruth:
    if images is None:
        files = sorted(root.rglob('*.xml'))
        names = [p.relative_to(root).with_suffix('').as_posix() for p in files]
        listed = {name: number for number, name in enumerate(names, start=1)}
    else:
        listed = _read_image_list(Path(images))
    if not listed:
        raise FileNotFoundError(f'no frames in {root if images is None else images}')
    frames = [_read_xml_frame(root, name, number) for name, number in listed.items()]
    category_ids = tuple(range(1, len(VID_CLASSES) + 1))
    return GroundTruth(VID_CLASSES, category_ids, frames)


def _read_image_list(path: Path) -> dict[str, int]:
    if not path.is_file():
        raise FileNotFoundError(f'list of images {path} does not exist')
    listed: dict[str, int] = {}
    ids: set[int] = set()
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        words, count = line.split(), len(listed)
        if not words:
            continue
        if len(words) != 2 or not words[1].isdecimal():
            raise ValueError(f'{path}:{number}: expected NAME IMAGE_ID, got {line!r}')
        listed[words[0]] = int(words[1])
        ids.add(int(words[1]))
        if not len(listed) == len(ids) == count + 1:
            raise ValueError(
                f'{path}:{number}: names and ids must be unique, got {line!r}'
            )
    return listed


def _read_xml_frame(root: Path, name: str, image_id: int) -> dict[str, Any]:
    path = root / f'{name}.xml'
    if not path.is_file():
        raise FileNotFoundError(f'annotation {path} does not exist')
    (width, height), objects = read_xml(path)
    video, _, frame = name.rpartition('/')
    if not frame.isdecimal():
        raise ValueError(
            f"{path}: the file name must be the frame's number, got {frame!r}"
        )
    for item in objects:
        if item.wnid not in VID_WNIDS:
            raise ValueError(
                f'{path}: unknown class {item.wnid!r}, expected one of the 30 of '
                'ImageNet VID'
            )
    return dict(
        img_id=image_id,
        img_path=str(path),
        video_id=video,
        video_name=video,
        frame_id=int(frame),
        is_labelled=True,
        height=height,
        width=width,
        instances=[
            dict(
                bbox=list(item.box),
                bbox_label=VID_WNIDS.index(item.wnid),
                ignore_flag=0,
                instance_id=item.track_id,
            )
            for item in objects
        ],
    )
