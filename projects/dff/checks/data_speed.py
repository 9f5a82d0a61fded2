"""Measure how fast objects move in a data set, and suggest a key frame interval."""

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
MIN_OVERLAP = 0.5  # median IoU of a box with itself at the end of an interval
MAX_SHIFT = 0.1  # of the shorter side: 0.9 quantile of the motion over an interval
NUM_PAIRS = 30  # pairs of neighbouring frames whose flow is estimated


def describe_speed(pairs: Mapping) -> str:
    """Describe how fast the frames of a `VideoPairDataset` change.

    With tracks (`instance_id`), the suggested l is the largest up to 20 at which the
    median box has IoU >= 0.5 with the same object l - 1 frames before. Without
    tracks, it is the largest at which nine tenths of the pixels move by at most a
    tenth of the shorter side, by OpenCV's DIS flow of 30 pairs of neighbouring
    frames. These are rules of thumb, not measurements of accuracy.

    Args:
        pairs: Config of the data set.

    Returns:
        Lines of text.

    Raises:
        FileNotFoundError: If a frame cannot be read.
        ValueError: If the data set cannot be read.
    """
    dataset, _ = build_source_dataset(pairs['dataset'])
    is_still = pairs.get('as_stills', False)
    own = None if is_still else dataset
    pattern = FilePattern.for_dataset(own, pairs.get('file_pattern'))
    index = VideoIndex(dataset, as_stills=is_still, file_pattern=pattern)
    tracks = _collect_tracks(index)
    if any(len(boxes) > 1 for boxes in tracks.values()):
        return _describe_tracks(tracks)
    return _describe_flow(index, dataset)


def _collect_tracks(index: VideoIndex) -> dict[tuple, dict[int, list[float]]]:
    tracks: dict[tuple, dict[int, list[float]]] = defaultdict(dict)
    for position in range(len(index)):
        info = index.get_info(position)
        for item in info.get('instances', ()):
            if item.get('instance_id', -1) >= 0:
                track = tracks[info['video_id'], item['instance_id']]
                track.setdefault(info['frame_id'], item['bbox'])
    return tracks


def track_overlaps(
    tracks: Mapping[tuple, Mapping[int, list[float]]], offset: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compare each box with the box of its track `offset` frames later.

    Returns:
        IoU (B,) of the B pairs, and the pairs (B, 2, 4) as (x1, y1, x2, y2) in pixels.
    """
    pairs = [
        (box, track[frame_id + offset])
        for track in tracks.values()
        for frame_id, box in track.items()
        if frame_id + offset in track
    ]
    boxes = np.array(pairs, dtype=np.float64).reshape(-1, 2, 4)
    first, second = torch.from_numpy(boxes).unbind(dim=1)
    return bbox_overlaps(first, second, is_aligned=True).numpy(), boxes


def _describe_tracks(tracks: Mapping) -> str:
    lines = [f'  {len(tracks)} tracks; IoU of a box with itself some frames before:']
    for offset in OFFSETS:
        ious, _ = track_overlaps(tracks, offset)
        if len(ious):
            lines.append(
                f'    {offset:3}  median {np.median(ious):.2f}, a tenth below '
                f'{np.quantile(ious, 0.1):.2f}'
            )
    _, boxes = track_overlaps(tracks, 1)
    centres = boxes[..., :2] + boxes[..., 2:]
    steps = np.linalg.norm(centres[:, 1] - centres[:, 0], axis=1) / 2
    if len(steps):
        lines.append(
            f'  median motion {np.median(steps):.1f} pixels a frame, a tenth above '
            f'{np.quantile(steps, 0.9):.1f}'
        )
    near = [track_overlaps(tracks, o)[0] for o in range(1, MOTION_REACH + 1)]
    mean = float(np.mean(np.concatenate(near))) if any(map(len, near)) else 1.0
    speed = 'slow' if mean > SLOW_ABOVE else 'fast' if mean < FAST_BELOW else 'medium'
    lines.append(f'  mean IoU over 1-{MOTION_REACH} frames {mean:.2f}: {speed} motion')
    longest = 1
    for interval in range(2, MAX_INTERVAL + 1):
        ious, _ = track_overlaps(tracks, interval - 1)
        if not len(ious) or median(ious) < MIN_OVERLAP:
            break
        longest = interval
    return '\n'.join([*lines, _suggest_interval(longest)])


def _describe_flow(index: VideoIndex, dataset: BaseDataset) -> str:
    pairs = [
        (position, position + 1)
        for start, stop in index.spans
        for position in range(start, stop - 1)
        if index.frame_ids[position + 1] == index.frame_ids[position] + 1
    ]
    if not pairs:
        return '  no two frames are neighbours, so there is no motion to measure'
    chosen = (
        np.linspace(0, len(pairs) - 1, min(NUM_PAIRS, len(pairs))).round().astype(int)
    )
    lengths, side = [], 0
    for choice in chosen:
        key, cur = (_read_image(index.get_info(i)['img_path']) for i in pairs[choice])
        lengths.append(np.linalg.norm(dis_flow(cur, key), axis=-1).ravel())
        side = min(cur.shape[:2])
    motion = np.concatenate(lengths)
    most = float(np.quantile(motion, 0.9))
    lines = [
        f'  DIS flow of {len(chosen)} pairs of neighbours: median '
        f'{np.median(motion):.1f} pixels a frame, a tenth above {most:.1f}'
    ]
    longest = 1 + int(MAX_SHIFT * side / max(most, 1e-6))
    return '\n'.join([*lines, _suggest_interval(min(longest, MAX_INTERVAL))])


def _suggest_interval(interval: int) -> str:
    if interval < 2:
        return '  suggested: no propagation; objects move too far between frames'
    return f'  suggested interval (rule of thumb): l = {interval} or less'


def dis_flow(cur: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Estimate the flow from `cur` to `key` with OpenCV's DIS.

    Args:
        cur: BGR image (H, W, 3), uint8.
        key: BGR image (H, W, 3), uint8.

    Returns:
        Flow (H, W, 2) as (dx, dy) in pixels.
    """
    gray = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (cur, key)]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return dis.calc(*gray, None)


def _read_image(path: str) -> np.ndarray:
    image = cv2.imread(path)
    if image is None:
        raise FileNotFoundError(f'frame {path} does not exist or is no image')
    return image
