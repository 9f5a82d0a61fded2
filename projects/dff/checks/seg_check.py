"""Check a data set for video segmentation before training."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count, walk
from os.path import exists, isdir, join, relpath
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.datasets.transforms import LoadAnnotations
from rich.progress import track

from dff.datasets.file_pattern import FilePattern
from dff.datasets.source_dataset import VOID, build_source_dataset
from dff.datasets.video_index import VideoIndex

from .frame_check import FrameReport, check_frame
from .report import DataReport


def check_seg_data(
    cfg: Config,
    *,
    split: str = 'train',
    interval: int | None = None,
    headers_only: bool = False,
) -> list[DataReport]:
    """Check every frame and label map that a config's data loader would load.

    Args:
        cfg: Config of video segmentation.
        split: Split whose data loader is checked, such as 'train'.
        interval: l, to count labelled frames with fewer than l - 1 predecessors; by
            default the one of the model's scheduler or of the data set.
        headers_only: Whether to read only the headers of frames without labels,
            which takes far less time.

    Returns:
        One report per `VideoPairDataset`.

    Raises:
        ValueError: If the config has no such data set.
    """
    init_default_scope(cfg.get('default_scope') or 'mmseg')
    loader = cfg.get(f'{split}_dataloader')
    found = list(pair_sets(loader.to_dict() if loader else None))
    if not found:
        raise ValueError(f'{split}_dataloader must hold a VideoPairDataset, got none')
    scheduler = cfg.get('model', {}).get('key_frame_scheduler', {})
    interval = interval or scheduler.get('interval')
    return [check_seg_set(pairs, split, interval, headers_only) for pairs in found]


def pair_sets(cfg: Any) -> Iterator[dict]:
    """Yield the config of every `VideoPairDataset` of a data loader."""
    if isinstance(cfg, (list, tuple)):
        for value in cfg:
            yield from pair_sets(value)
    elif isinstance(cfg, dict):
        if cfg.get('type') == 'VideoPairDataset':
            yield cfg
        else:
            yield from pair_sets(list(cfg.values()))


def check_seg_set(
    pairs: dict, split: str, interval: int | None = None, headers_only: bool = False
) -> DataReport:
    """Check one `VideoPairDataset`; for the arguments see `check_seg_data`."""
    report = DataReport(f'{split}: {pairs["dataset"]["type"]}')
    try:
        dataset, _ = build_source_dataset(pairs['dataset'])
        report.title += f' in {dataset.data_prefix["img_path"]}'
        own = None if pairs.get('as_stills') else dataset
        pattern = FilePattern.for_dataset(own, pairs.get('file_pattern'))
        index = VideoIndex(
            dataset, as_stills=pairs.get('as_stills', False), file_pattern=pattern
        )
    except (ValueError, FileNotFoundError) as error:
        report.problems['data set that cannot be read'].append(str(error))
        return report
    _check_folders(dataset, report)
    if not len(index):
        return report
    _check_videos(index, pattern, report)
    _count_predecessors(index, _reach(pairs, interval), report)
    _check_frames(index, report, split=split, headers_only=headers_only)
    return report


def _check_folders(dataset: Any, report: DataReport) -> None:
    """Report empty folders, and label maps without an image."""
    images = dataset.data_prefix['img_path']
    labels = dataset.data_prefix.get('seg_map_path') or ''
    suffixes = dataset.img_suffix
    suffixes = (suffixes,) if isinstance(suffixes, str) else suffixes
    for root, endings in ((images, suffixes), (labels, (dataset.seg_map_suffix,))):
        if not isdir(root):
            report.problems['folders that are not there'].append(root)
            continue
        for folder, inner, names in walk(root):
            if not inner and not any(
                n.lower().endswith(_lower(endings)) for n in names
            ):
                report.problems[f'folders without {endings}'].append(folder)
    for folder, _, names in walk(labels):
        for name in sorted(names):
            if name.startswith('.') or not name.endswith(dataset.seg_map_suffix):
                continue
            stem = name.removesuffix(dataset.seg_map_suffix)
            place = join(images, relpath(folder, labels), stem)
            if not any(exists(place + end) for s in suffixes for end in (s, s.upper())):
                report.problems['labels without an image'].append(join(folder, name))


def _lower(endings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(ending.lower() for ending in endings)


def _check_videos(
    index: VideoIndex, pattern: FilePattern | None, report: DataReport
) -> None:
    lengths = [stop - start for start, stop in index.spans]
    report.counts.update(
        {
            'videos': len(lengths),
            'frames': len(index),
            'frames of the shortest video': min(lengths),
            'frames of the longest video': max(lengths),
            'labelled frames': int(index.is_labelled.sum()),
        }
    )
    if not index.is_labelled.any():
        expected = index.get_info(0).get('seg_map_path')
        report.problems['no frame is labelled'].append(
            f'the map of {index.get_info(0)["img_path"]} would be {expected}'
        )
    if pattern is not None and pattern.snippet_length is not None:
        _check_snippets(index, pattern.snippet_length, report)
    elif pattern is not None:
        _note_gaps(index, pattern, report)


def _check_snippets(index: VideoIndex, length: int, report: DataReport) -> None:
    expected = getattr(index.dataset, 'LABELLED_FRAME', None)
    for video, (start, stop) in zip(index.video_ids, index.spans, strict=True):
        if stop - start != length:
            report.problems['snippets that are not whole'].append(
                f'{video}, from frame {index.frame_ids[start]} on: {stop - start} '
                f'frames without a gap, must be {length}'
            )
        labelled = np.flatnonzero(index.is_labelled[start:stop]).tolist()
        if expected is not None and labelled != [expected]:
            report.problems['snippets labelled elsewhere'].append(
                f'{video}, from frame {index.frame_ids[start]} on: the labelled '
                f'frames are {[n + 1 for n in labelled]}, must be {[expected + 1]}'
            )


def _note_gaps(index: VideoIndex, pattern: FilePattern, report: DataReport) -> None:
    """Note gaps in the numbers of frames, which pairs do not span."""
    numbers = defaultdict(list)
    for i in range(len(index)):
        video, number = pattern.parse(index.get_info(i)['img_path'])
        numbers[video].append(number)
    steps = Counter(int(s) for n in numbers.values() for s in np.diff(sorted(n)))
    cut = [name for name, n in numbers.items() if (np.diff(sorted(n)) > 1).any()]
    if not cut:
        return
    report.notes.append(
        f'{len(cut)} of {len(numbers)} videos have gaps in their numbers and are cut '
        f'there, the first one is {cut[0]!r}'
    )
    if not steps[1]:
        step = min(steps) * pattern.frame_step
        report.notes.append(
            'no two frames are neighbours, so k = i always. If neighbours are '
            f'numbered in steps of {step}, set file_pattern=dict(frame_step={step})'
        )


def _reach(pairs: dict, interval: int | None) -> int:
    """Return the largest i - k that the data set or the scheduler uses."""
    if pairs.get('test_offsets'):
        return max(pairs['test_offsets'])
    if interval is not None:
        return interval - 1
    is_paired = pairs.get('pairs', True) and not pairs.get('test_mode', False)
    return max(pairs.get('offset_range', (0, 9))) if is_paired else 0


def _count_predecessors(index: VideoIndex, reach: int, report: DataReport) -> None:
    starts = np.concatenate([np.full(b - a, a) for a, b in index.spans])
    lacking = index.is_labelled & (np.arange(len(index)) - starts < reach)
    report.counts[f'of these, < {reach} predecessors'] = int(lacking.sum())


def _check_frames(
    index: VideoIndex, report: DataReport, *, split: str, headers_only: bool
) -> None:
    """Check the frames and their label maps, and count the labels."""
    classes = index.dataset.metainfo['classes']
    ignored = {VOID, getattr(index.dataset, 'ignore_index', VOID)}
    load = LoadAnnotations()

    def look(i: int) -> FrameReport:
        info = index.get_info(i)
        decode = info['is_labelled'] or not headers_only
        return check_frame(
            info, load, num_classes=len(classes), ignored=ignored, decode=decode
        )

    pixels = np.zeros(256, dtype=np.int64)
    sizes: dict[int, tuple[tuple[int, int], str]] = {}
    with ThreadPoolExecutor(cpu_count()) as pool:
        findings = pool.map(look, range(len(index)))
        for i, found in enumerate(track(findings, report.title, total=len(index))):
            for kind, what in found.problems:
                report.problems[kind].append(what)
            if found.pixels is not None:
                pixels += found.pixels
            if found.size is None:
                continue
            path = index.get_info(i)['img_path']
            size, first = sizes.setdefault(index.video_of(i), (found.size, path))
            if size != found.size:
                report.problems['frames of another size than their video'].append(
                    f'{path}: {found.size} (H, W), {first}: {size}'
                )
    report.pixels = dict(zip(classes, pixels.tolist(), strict=False))
    absent = [name for name, count in report.pixels.items() if not count]
    if absent and split == 'train':
        report.problems['classes that never occur'].extend(absent)
    elif absent:
        report.notes.append(f'these classes never occur: {absent}')
