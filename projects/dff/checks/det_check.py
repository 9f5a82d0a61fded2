"""Check a data set for video detection before training."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from os.path import join
from typing import Any

from mmseg.datasets.transforms import LoadAnnotations
from rich.progress import track

from dff.datasets.coco_vid import MIN_BOX_SIDE
from dff.datasets.cocovid_file import FIELDS, LISTS, check_entry

from .frame_check import check_frame
from .report import DataReport


def check_det_set(pairs: Mapping, title: str) -> DataReport:
    """Check every record and every frame of a `CocoVIDDataset`.

    Args:
        pairs: Config of a `VideoPairDataset` around it.
        title: Title of the report, such as the split.

    Returns:
        Report whose problems name the file and the line of the record (always line 1
        in a json without line breaks).
    """
    inner = pairs['dataset']
    path = join(inner.get('data_root') or '', inner['ann_file'])
    report = DataReport(f'{title}: {path}')
    try:
        with open(path, encoding='utf-8') as file:
            text = file.read()
        content = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        report.problems['annotations that cannot be read'].append(f'{path}: {error}')
        return report
    except json.JSONDecodeError as error:
        what = f'{path}:{error.lineno}: {error.msg}'
        report.problems['annotations that are no json'].append(what)
        return report
    content = content if isinstance(content, dict) else {}
    lists = {name: content.get(name, []) for name in FIELDS}
    is_whole = all(name in content for name in LISTS)
    if not is_whole or not all(isinstance(entries, list) for entries in lists.values()):
        what = f'{path}:1: must hold the lists {LISTS}'
        report.problems['annotations that are no CocoVID'].append(what)
        return report
    records = _Records(path, text, lists, report)
    records.check_fields()
    if not report.problems:  # the checks below use the fields
        _check_images(records)
        _check_boxes(records, inner)
        folder = (inner.get('data_prefix') or {}).get('img', '')
        _check_frames(records, join(inner.get('data_root') or '', folder))
    return report


class _Records:
    """Lists of a json file, and the line of each record."""

    def __init__(
        self, path: str, text: str, lists: dict[str, list], report: DataReport
    ) -> None:
        self.path, self.text, self.lists, self.report = path, text, lists, report
        self._lines: dict[str, list[int]] = {}
        names = ('videos', 'images', 'annotations')
        report.counts = {name: len(lists[name]) for name in names}

    def add(self, kind: str, name: str, place: int, what: str) -> None:
        """Report a problem of a record."""
        line = self._lines_of(name)[place]
        self.report.problems[kind].append(f'{self.path}:{line}: {what}')

    def check_fields(self) -> None:
        """Check the fields of all records and their types."""
        for name, entries in self.lists.items():
            required, optional = FIELDS[name]
            for place, entry in enumerate(entries):
                try:
                    check_entry(entry, required, optional, source=f'{name}[{place}]')
                except ValueError as error:
                    self.add('records with wrong fields', name, place, str(error))

    def _lines_of(self, name: str) -> list[int]:
        if name not in self._lines:
            decoder, gap = json.JSONDecoder(), re.compile(r'[\s,]*')
            start = re.search(rf'"{name}"\s*:\s*\[', self.text)
            place = start.end() if start else 0
            line = self.text.count('\n', 0, place) + 1
            lines = self._lines[name] = []
            for _ in self.lists[name]:
                found = gap.match(self.text, place)
                begin = found.end() if found else place
                line += self.text.count('\n', place, begin)
                lines.append(line)
                _, place = decoder.raw_decode(self.text, begin)
                line += self.text.count('\n', begin, place)
        return self._lines[name]


def _check_images(records: _Records) -> None:
    """Check ids, and the frame numbers of each video."""
    images, report = records.lists['images'], records.report
    known = {video['id'] for video in records.lists['videos']}
    seen: set = set()
    numbers: dict[Any, dict[int, int]] = defaultdict(dict)
    for place, image in enumerate(images):
        if image['id'] in seen:
            what = f'id {image["id"]!r} of {image["file_name"]}'
            records.add('image ids that come twice', 'images', place, what)
        seen.add(image['id'])
        if 'video_id' not in image:
            continue
        video, frame = image['video_id'], image.get('frame_id')
        if known and video not in known:
            what = f'{image["file_name"]} names video {video!r}, not among the videos'
            records.add('videos that are not there', 'images', place, what)
        if not isinstance(frame, int):
            what = f'{image["file_name"]} must have an int frame_id, got {frame!r}'
            records.add('frames without a number', 'images', place, what)
        elif frame in numbers[video]:
            what = f'frame {frame} of video {video!r}, {image["file_name"]}'
            records.add('frames that come twice', 'images', place, what)
        else:
            numbers[video][frame] = place
    gaps = [
        video for video, n in numbers.items() if n and max(n) - min(n) + 1 != len(n)
    ]
    if gaps:
        report.notes.append(
            f'{len(gaps)} of {len(numbers)} videos have gaps in their numbers, the '
            f'first one is {gaps[0]!r}: a stream restarts after a gap'
        )


def _check_boxes(records: _Records, inner: Mapping) -> None:
    report = records.report
    images = {image['id']: image for image in records.lists['images']}
    names = {c['id']: c['name'] for c in records.lists['categories']}
    classes = (inner.get('metainfo') or {}).get('classes') or list(names.values())
    tracks, outside = set(), 0
    per_class: Counter = Counter()
    for place, box in enumerate(records.lists['annotations']):
        image, name = images.get(box['image_id']), names.get(box['category_id'])
        if image is None:
            what = f'image {box["image_id"]!r} is not among the images'
            records.add('boxes of no image', 'annotations', place, what)
            continue
        if name not in classes:
            what = f'{image["file_name"]}: category {box["category_id"]!r} ({name})'
            records.add('boxes of unknown classes', 'annotations', place, what)
        per_class[name] += 1
        x, y, w, h = box['bbox']
        width = min(x + w, image['width']) - max(x, 0)
        height = min(y + h, image['height']) - max(y, 0)
        outside += width < w - 1 or height < h - 1
        if min(width, height) < MIN_BOX_SIDE:
            what = (
                f'{image["file_name"]}: {box["bbox"]} (x, y, w, h) in an image of '
                f'{image["width"]}x{image["height"]}'
            )
            kind = 'boxes with less than one pixel inside (they are left out)'
            records.add(kind, 'annotations', place, what)
        key = box['image_id'], box.get('instance_id', -1)
        if key[1] >= 0 and key in tracks:
            what = f'{image["file_name"]}: instance_id {key[1]}'
            records.add('tracks twice in a frame', 'annotations', place, what)
        tracks.add(key)
    report.counts |= {f'boxes of {n}': per_class[n] for n in classes}
    if outside:
        report.notes.append(
            f'{outside} boxes reach outside their image; they are clipped'
        )


def _check_frames(records: _Records, folder: str) -> None:
    """Check every frame and decode it completely."""
    images, load = records.lists['images'], LoadAnnotations()

    def look(image: dict):
        info = dict(img_path=join(folder, image['file_name']), is_labelled=False)
        return check_frame(info, load, num_classes=0, ignored=set(), decode=True)

    with ThreadPoolExecutor(cpu_count()) as pool:
        findings = pool.map(look, images)
        title = records.report.title
        for place, found in enumerate(track(findings, title, total=len(images))):
            for kind, what in found.problems:
                records.add(kind, 'images', place, what)
            stated = images[place]['height'], images[place]['width']
            if found.size is not None and found.size != stated:
                what = (
                    f'{images[place]["file_name"]} must have the size {stated} (H, W), '
                    f'got {found.size}'
                )
                records.add('frames of another size', 'images', place, what)
