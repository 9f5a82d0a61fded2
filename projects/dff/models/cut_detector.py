"""Cuts: frames that the key frame cannot explain."""

from typing import Any

from mmengine.registry import MODELS

from .current_frame import CurrentFrame
from .image_model import check_part
from .low_resolution import change_between, shrink_to

CELLS = 20  # on the longer side, where neighbours of a video look alike
MEMORY = 'cut_detector'  # in StreamState.memory: number and picture of the last frame


@MODELS.register_module()
class CutDetector:
    """Find frames that must become key frames, whatever the scheduler says.

    Two tests on pictures of about 20 x 15 cells, both by :func:`change_between`:
    ``is_cut`` compares a frame with the frame before it, and ``is_unexplained`` with
    the key frame warped by the flow that the propagation uses. The first finds hard
    cuts and ignores flashes; the second finds what comes slowly, such as a dissolve.

    It works on a stream, whose ``state.memory`` holds the picture of the last frame,
    and costs about half a millisecond per frame of 640 x 480 on one core.

    Args:
        threshold: Change from the frame before at which a frame is a cut. On real
            videos neighbours reach 0.03 and cuts start at 0.26
            (``tools/analysis/detect_cuts.py``).
        key_threshold: Change from the warped key frame at which a frame becomes a key
            frame. Fast motion over ten frames reaches 0.25. None: do not test.

    Raises:
        TypeError: If a threshold is no number.
        ValueError: If a threshold is not positive.
    """

    def __init__(
        self, threshold: float = 0.12, key_threshold: float | None = 0.35
    ) -> None:
        _check('threshold', threshold)
        if key_threshold is not None:
            _check('key_threshold', key_threshold)
        self.threshold = threshold
        self.key_threshold = key_threshold

    def is_cut(self, frame: CurrentFrame) -> bool:
        """Return whether there is a cut between a frame and the one before it.

        Asked once for every frame that continues a stream, in order. No flow is needed.
        """
        memory, state = frame.state.memory, frame.state
        cur = shrink_to(frame.thumbnail, CELLS)
        frame_id, before = memory.get(MEMORY, (None, None))
        memory[MEMORY] = (frame.frame_id, cur)
        if frame_id != state.frame_id:  # the last frame was the first of its stream
            if state.key_frame_id != state.frame_id:
                return False
            before = shrink_to(frame.key_thumbnail, CELLS)
        return change_between(before, cur) >= self.threshold

    def is_unexplained(self, frame: CurrentFrame) -> bool:
        """Return whether a frame that is to be propagated looks unlike its key frame.

        It uses the flow of the propagation.
        """
        if self.key_threshold is None:
            return False
        key = shrink_to(frame.warped_key, CELLS)
        change = change_between(key, shrink_to(frame.thumbnail, CELLS))
        return change >= self.key_threshold

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(threshold={self.threshold}, '
            f'key_threshold={self.key_threshold})'
        )


def build_cut_detector(detector: dict | Any | None) -> Any:
    """Build a cut detector from its config; check one that is built; None stays None.

    Raises:
        TypeError: If it lacks ``is_cut`` or ``is_unexplained``.
    """
    if detector is None:
        return None
    if isinstance(detector, dict):
        detector = MODELS.build(detector)
    for method in ('is_cut', 'is_unexplained'):
        check_part('cut_detector', detector, method)
    return detector


def _check(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f'{name} must be a number, got {value!r}')
    if not value > 0:
        raise ValueError(f'{name} must be positive, got {value}')
