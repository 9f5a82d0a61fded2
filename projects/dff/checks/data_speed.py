"""How fast a data set moves, and which key frame interval that suggests."""

from collections import defaultdict
from collections.abc import Mapping
from statistics import median

import cv2
import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dataset import BaseDataset

from dff.datasets.file_pattern import FilePattern
from dff.datasets.source_dataset import build_source_dataset
from dff.datasets.video_index import VideoIndex
from dff.evaluation.motion_iou import FAST_BELOW, MOTION_REACH, SLOW_ABOVE

OFFSETS = (1, 2, 5, 10, 20)
MAX_INTERVAL = 20
OVERLAP = 0.5  # with itself, that half of the boxes keep over an interval
SHARE = 0.1  # of the shorter side, that nine tenths of the pixels stay within
PAIRS = 30  # of neighbours, whose flow is looked at


def describe_motion(pairs: Mapping) -> str:
    """Tell how the data of a `VideoPairDataset` moves, in some lines.

    Boxes with an `instance_id` are followed: the suggested l is the largest up to 20
    at which the median box still overlaps by IoU >= 0.5 with itself l - 1 frames
    before. Without tracks OpenCV's DIS flow of 30 pairs of neighbours takes their
    place: nine tenths of the pixels then move by no more than a tenth of the shorter
    side. Rules of thumb, no measurement of accuracy.

    Args:
        pairs: Its config.
    """
    dataset, _ = build_source_dataset(pairs['dataset'])
    is_still = pairs.get('as_stills', False)
    own = None if is_still else dataset
    pattern = FilePattern.for_dataset(own, pairs.get('file_pattern'))
    index = VideoIndex(dataset, as_stills=is_still, file_pattern=pattern)
    tracks = _find_tracks(index)
    if any(len(boxes) > 1 for boxes in tracks.values()):
        return _describe_tracks(tracks)
    return _describe_flow(index, dataset)


def _find_tracks(index: VideoIndex) -> dict[tuple, dict[int, list[float]]]:
    tracks: dict[tuple, dict[int, list[float]]] = defaultdict(dict)
    for place in range(len(index)):
        info = index.get_info(place)
        for item in info.get('instances', ()):
            if item.get('instance_id', -1) >= 0:
                track = tracks[info['video_id'], item['instance_id']]
                track.setdefault(info['frame_id'], item['bbox'])
    return tracks


def overlaps(tracks: Mapping[tuple, Mapping[int, list[float]]], offset: int):
    """Give the IoU of each box with the one of its track `offset` frames later."""
    pairs = [
        (box, track[frame + offset])
        for track in tracks.values()
        for frame, box in track.items()
        if frame + offset in track
    ]
    boxes = np.array(pairs, dtype=np.float64).reshape(-1, 2, 4)
    first, second = torch.from_numpy(boxes).unbind(dim=1)
    return bbox_overlaps(first, second, is_aligned=True).numpy(), boxes


def _describe_tracks(tracks: Mapping) -> str:
    lines = [f'  {len(tracks)} tracks; IoU of a box with itself, frames before:']
    for offset in OFFSETS:
        ious, _ = overlaps(tracks, offset)
        if len(ious):
            lines.append(
                f'    {offset:3}  median {np.median(ious):.2f}, a tenth below '
                f'{np.quantile(ious, 0.1):.2f}'
            )
    _, boxes = overlaps(tracks, 1)
    centres = boxes[..., :2] + boxes[..., 2:]
    steps = np.linalg.norm(centres[:, 1] - centres[:, 0], axis=1) / 2
    if len(steps):
        lines.append(
            f'  median motion {np.median(steps):.1f} pixels a frame, a tenth above '
            f'{np.quantile(steps, 0.9):.1f}'
        )
    near = [overlaps(tracks, o)[0] for o in range(1, MOTION_REACH + 1)]
    mean = float(np.mean(np.concatenate(near))) if any(map(len, near)) else 1.0
    speed = 'slow' if mean > SLOW_ABOVE else 'fast' if mean < FAST_BELOW else 'medium'
    lines.append(f'  mean IoU over 1-{MOTION_REACH} frames {mean:.2f}: {speed} motion')
    lasting = 1
    for interval in range(2, MAX_INTERVAL + 1):
        ious, _ = overlaps(tracks, interval - 1)
        if not len(ious) or median(ious) < OVERLAP:
            break
        lasting = interval
    return '\n'.join([*lines, _suggest(lasting)])


def _describe_flow(index: VideoIndex, dataset: BaseDataset) -> str:
    pairs = [
        (place, place + 1)
        for start, stop in index.spans
        for place in range(start, stop - 1)
        if index.frame_ids[place + 1] == index.frame_ids[place] + 1
    ]
    if not pairs:
        return '  no two frames are neighbours: there is no motion to tell of'
    chosen = np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).round().astype(int)
    lengths, side = [], 0
    for choice in chosen:
        key, cur = (_read(index.get_info(place)['img_path']) for place in pairs[choice])
        lengths.append(np.linalg.norm(dis_flow(cur, key), axis=-1).ravel())
        side = min(cur.shape[:2])
    motion = np.concatenate(lengths)
    most = float(np.quantile(motion, 0.9))
    lines = [
        f'  DIS flow of {len(chosen)} pairs of neighbours: median '
        f'{np.median(motion):.1f} pixels a frame, a tenth above {most:.1f}'
    ]
    lasting = 1 + int(SHARE * side / max(most, 1e-6))
    return '\n'.join([*lines, _suggest(min(lasting, MAX_INTERVAL))])


def _suggest(interval: int) -> str:
    if interval < 2:
        return '  suggested: no propagation; things move too far within one frame'
    return f'  suggested interval (rule of thumb): l = {interval} or less'


def dis_flow(cur: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Estimate where each pixel of `cur` (H, W, 3) uint8 was in `key`.

    Returns:
        (H, W, 2), x and y in pixels.
    """
    gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (cur, key)]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(*gray, None)


def _read(path: str) -> np.ndarray:
    image = cv2.imread(path)
    if image is None:
        raise FileNotFoundError(f'frame {path} is not there or is no image')
    return image
