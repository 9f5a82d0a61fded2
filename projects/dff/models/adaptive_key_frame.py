"""Key frames where the picture changes, at a given mean interval."""

import math
from dataclasses import dataclass

from mmengine.registry import MODELS

from .counts import check_count
from .current_frame import CurrentFrame
from .stream_state import StreamState

MEMORY = 'adaptive_key_frames'  # in StreamState.memory: a `_Budget`
WINDOW = 300  # frames over which the mean interval holds
TOLERANCE = 0.05  # of the mean interval over them
LATE_KEYS = 3  # intervals that a still picture waits by default
# Mean difference of R, G and B, 0..255 per frame since the key frame, that noise and
# compression leave where nothing moves. One person in a wide view is 0.4.
STILL = 0.1
# How the threshold, on a log scale, follows the budget. Chosen on PETS09-S2L1 and
# TUD-Stadtmitte; half or twice of each changes AP by less than the phase of a fixed
# schedule does.
GAIN = 0.5  # per key frame that is left over, at once
RATE = 0.1  # per key frame that is left over, for good
PULL = 0.3  # share of the way to a frame that the budget forced or forbade


@dataclass
class _Budget:
    """What the scheduler keeps of a stream.

    Attributes:
        key_frame_id: Key frame that it counts from.
        decided: The frame that it made a key frame last.
        frame_id: Last frame that it was asked about.
        keys: Key frames that are left over, by the mean interval.
        residual: Mean residual of the last frame, 0..255.
        area: Sum of the residuals since the key frame.
        first: Residual one frame behind the key frame, which is noise and motion.
        threshold: Logarithm of the regret at which there is a key frame; None until
            the first interval is over.
        was_denied: Whether the budget forbade a key frame in this interval.
    """

    key_frame_id: int
    decided: int | None
    frame_id: int
    keys: float = 0.0
    residual: float = 0.0
    area: float = 0.0
    first: float = 0.0
    threshold: float | None = None
    was_denied: bool = False


@MODELS.register_module()
class AdaptiveKeyFrameScheduler:
    """Spend a budget of key frames where the picture changes (not in the paper).

    The *regret* of a frame is how much less residual (``CurrentFrame.residual``, its
    mean) the frames since the key frame would have left, had they been as far from
    theirs as the frame is: ``sum_j r_i - r_j``. If frames leave a residual that grows
    by a per frame, key frames at a regret of K minimise the sum of residuals at the
    same number of key frames; intervals are then 1 / sqrt(a), short where much changes.
    K follows the budget: 1 / interval per frame, and a key frame costs one.

    The mean interval stays within 5 % over 300 frames, except for videos that stand
    still, which get a key frame every ``max_interval`` frames, and for cuts. Of what a
    still picture leaves of the budget, little is kept: two key frames at l = 10.

    It looks at the flow of each frame, which the propagation then uses; a key frame
    therefore costs one F more than with a fixed interval.

    Args:
        interval: Mean key frame duration length l, the budget.
        max_interval: Longest interval; None is ``3 * interval``.

    Raises:
        TypeError: If an interval is no integer.
        ValueError: If ``interval`` is less than 1, or ``max_interval`` less than that.
    """

    def __init__(self, interval: int = 10, max_interval: int | None = None) -> None:
        self.interval = check_count('interval', interval, 1)
        if max_interval is None:
            max_interval = LATE_KEYS * interval
        self.max_interval = check_count('max_interval', max_interval, interval)
        # half a key frame is lost to rounding
        self.slack = max(0.0, TOLERANCE * WINDOW / interval - 0.5)

    def is_key_frame(
        self, state: StreamState, frame_id: int, frame: CurrentFrame
    ) -> bool:
        """Return whether ``frame``, which continues ``state``, is a key frame.

        Args:
            state: State after the preceding frame.
            frame_id: Number of the frame.
            frame: The frame, its flow and its residual.
        """
        if self.interval == 1 or state.key_frame_id is None:
            return True
        budget = self._begin(state, frame_id)
        offset = frame_id - state.key_frame_id
        if offset >= self.max_interval:
            return self._take(budget, frame_id)
        regret = _add_residual(budget, float(frame.residual.mean().cpu()), offset)
        if regret - budget.first < STILL * offset:
            return False
        limit = budget.threshold
        is_over = limit is not None and regret >= math.exp(
            limit - GAIN * (budget.keys - 1)
        )
        if budget.keys < 1 - self.slack:
            budget.was_denied |= is_over
            return False
        is_forced = budget.keys >= 1 + self.slack
        if limit is None:
            first = self.interval
            if state.keys == 1:  # spreads the key frames of many streams
                first -= state.phase % first
            is_over, is_forced = offset >= first, False
        if not (is_over or is_forced):
            return False
        _follow(budget, math.log(regret), is_bound=is_forced and not is_over)
        return self._take(budget, frame_id)

    def _begin(self, state: StreamState, frame_id: int) -> _Budget:
        """Return the budget of a stream, with what it earned since the last frame."""
        key_id = state.key_frame_id
        assert key_id is not None  # the caller has checked it
        budget = state.memory.get(MEMORY)
        if budget is None:
            budget = _Budget(key_frame_id=key_id, decided=key_id, frame_id=key_id)
            state.memory[MEMORY] = budget
        if budget.key_frame_id != key_id:
            if budget.decided != key_id:  # a cut: another scene
                budget.keys = max(budget.keys - 1, -self.slack)
                budget.threshold = None
            budget.key_frame_id = key_id
            budget.residual = budget.area = 0.0
            budget.was_denied = False
        earned = (frame_id - budget.frame_id) / self.interval
        budget.keys = min(budget.keys + earned, 1 + self.slack)
        return budget

    @staticmethod
    def _take(budget: _Budget, frame_id: int) -> bool:
        budget.keys -= 1
        budget.decided = budget.frame_id = frame_id
        return True

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(interval={self.interval}, '
            f'max_interval={self.max_interval})'
        )


def _add_residual(budget: _Budget, residual: float, offset: int) -> float:
    """Return the regret of a frame with this mean residual, ``offset`` from its key."""
    last = budget.frame_id
    budget.frame_id = budget.key_frame_id + offset
    if last <= budget.key_frame_id:
        # the first one seen: those before it are on the line to the key frame
        budget.area = residual * (offset - 1) / 2
        budget.first = residual / offset
    else:
        budget.area += budget.residual * (budget.frame_id - last)
    budget.residual = residual
    return offset * residual - budget.area


def _follow(budget: _Budget, regret: float, *, is_bound: bool) -> None:
    """Adapt the threshold to a key frame with this logarithm of the regret.

    Args:
        budget: Before the key frame is paid for.
        regret: Logarithm of the regret.
        is_bound: Whether the budget, not the threshold, put the key frame there.
    """
    if budget.threshold is None:
        budget.threshold = regret
    elif is_bound or budget.was_denied:
        budget.threshold += PULL * (regret - budget.threshold)
    else:
        budget.threshold -= RATE * (budget.keys - 1)
