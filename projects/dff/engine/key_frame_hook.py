"""Print the key frames of a test."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

MAX_POSITIONS = 12  # printed per video
MAX_VIDEOS = 20  # printed one by one


@dataclass
class KeyFrames:
    """Key frames of one video, or of several.

    Attributes:
        frames: Number of frames.
        keys: Numbers of the key frames.
    """

    frames: int = 0
    keys: list[int] = field(default_factory=list)

    @property
    def mean_interval(self) -> float:
        """Frames per key frame, the mean l; nan without key frames."""
        return self.frames / len(self.keys) if self.keys else float('nan')

    def __str__(self) -> str:
        return (
            f'{len(self.keys)} key frames in {self.frames}, mean l '
            f'{self.mean_interval:.2f}, at {format_positions(self.keys)}'
        )


def format_positions(keys: Sequence[int]) -> str:
    """Return ascending numbers in short, as '0 to 190, every 10th' or the first 12."""
    if not keys:
        return 'none'
    steps = {b - a for a, b in zip(keys, keys[1:], strict=False)}
    if len(keys) > 2 and len(steps) == 1:
        (step,) = steps
        return f'{keys[0]} to {keys[-1]}, every {step}th'
    shown = ', '.join(map(str, keys[:MAX_POSITIONS]))
    return shown + (', …' if len(keys) > MAX_POSITIONS else '')


@HOOKS.register_module()
class KeyFrameHook(Hook):
    """Print the mean interval and the key frames of each video after a test.

    Frames of a test at given offsets have no schedule and are not counted.
    """

    def before_test_epoch(self, runner: Runner) -> None:
        """Forget the videos of an earlier test."""
        self._videos: dict[Any, dict[int, bool]] = defaultdict(dict)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Note which frames are key frames."""
        for sample in outputs or ():
            meta = sample.metainfo
            if 'is_key_frame' not in meta or 'asked_offset' in meta:
                continue
            if 'video_id' in meta and 'frame_id' in meta:
                video = meta.get('video_name', meta['video_id'])
                self._videos[video][int(meta['frame_id'])] = bool(meta['is_key_frame'])

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Print one line per video, and one for all."""
        videos: dict[Any, dict[int, bool]] = defaultdict(dict)
        for part in all_gather_object(dict(self._videos)):
            for name, frames in part.items():
                videos[name].update(frames)
        if not videos:
            return
        found = {
            name: _count(frames) for name, frames in sorted(videos.items(), key=str)
        }
        lines = [f'{name}: {keys}' for name, keys in list(found.items())[:MAX_VIDEOS]]
        frames = sum(keys.frames for keys in found.values())
        count = sum(len(keys.keys) for keys in found.values())
        if len(found) > 1:
            lines.append(
                f'all {len(found)} videos: {count} key frames in {frames}, mean l '
                f'{frames / count:.2f}'
            )
        print_log('Key frames\n' + '\n'.join(lines), logger='current')


def _count(frames: dict[int, bool]) -> KeyFrames:
    keys = sorted(number for number, is_key in frames.items() if is_key)
    return KeyFrames(len(frames), keys)
