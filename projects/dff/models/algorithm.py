"""Algorithm 1 of the paper: key frames, propagation and N_task along a video.

Nothing here holds the state of a video, so that any number of streams and threads may
use one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .current_frame import CurrentFrame
from .key_frame import ask
from .propagation import FeaturePropagation
from .seam.feats import Feats
from .seam.feature_seam import FeatureSeam
from .seam.windows import cut
from .stream_state import StreamState

Item = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Algorithm1:
    """Predict frames, each with the state of its stream (paper Sec. 3, Algorithm 1).

    Args:
        seam: Where N_feat of the model ends.
        propagation: F, S and W.
        scheduler: Decides on key frames, see :func:`~.key_frame.ask`.
        max_gap: How many frames may be missing between two of one stream.
        cut_detector: Makes further frames key frames, see :class:`CutDetector`; None
            makes none.
    """

    seam: FeatureSeam
    propagation: FeaturePropagation
    scheduler: Any
    max_gap: int
    cut_detector: Any = None

    def predict(self, item: Item, sample: Any, state: StreamState | None) -> Any:
        """Predict one frame and advance its stream.

        Args:
            item: Image (1, 3, H, W), or ``dict(cur, key)`` of a pair.
            sample: Its data sample.
            state: State of its stream; None for a single image.

        Returns:
            The data sample with predictions, ``is_key_frame`` and ``offset``.
        """
        image = item['cur'] if isinstance(item, dict) else item
        feats: Sequence[Feats]
        if state is None:
            feats, offset = self.encode(image), 0
        else:
            frame = self._advance(item, sample.metainfo, state)
            offset = state.offset
            if offset:
                feats, state.flow = frame.propagate(), frame.joined_flow
            else:
                feats = state.key_feats
        (result,) = self.seam.run(
            'predict', image, feats, [sample], is_propagated=offset > 0
        )
        result.set_metainfo(dict(is_key_frame=offset == 0, offset=offset))
        return result

    def encode(self, images: Tensor) -> list[Feats]:
        """Run N_feat on each window of images (N, 3, H, W)."""
        return [self.seam.head(cut(images, w)) for w in self.seam.windows(images)]

    def _advance(self, item: Item, meta: dict, state: StreamState) -> CurrentFrame:
        """Bring a stream to a frame; where there is a new key frame, run N_feat."""
        image = item['cur'] if isinstance(item, dict) else item
        frame = CurrentFrame(
            image, meta, state, seam=self.seam, propagation=self.propagation
        )
        new_key = self._find_new_key(item, frame)
        if new_key is not None:
            key, key_id = new_key
            state.begin(
                key,
                self.encode(key),
                video_id=meta['video_id'],
                frame_id=key_id,
                shape=meta['img_shape'],
            )
        state.frame_id, state.flow = frame.frame_id, None
        return frame

    def _find_new_key(
        self, item: Item, frame: CurrentFrame
    ) -> tuple[Tensor, int] | None:
        """Return the frame that becomes the key frame, None to keep the key.

        Where the frame does not continue its stream, everything is forgotten.

        Returns:
            The frame (1, 3, H, W) and its number in the video.
        """
        state, meta = frame.state, frame.meta
        if isinstance(item, dict):
            if 'offset' not in meta:
                raise ValueError(
                    'a test pair needs `offset` in its metainfo, which '
                    f'VideoPairDataset sets; got {sorted(meta)}'
                )
            key, key_id = item['key'], frame.frame_id - meta['offset']
            if state.has_key(key, video_id=meta['video_id'], frame_id=key_id):
                return None
            state.reset()
            return key, key_id
        is_continued = state.is_continued_by(
            video_id=meta['video_id'],
            frame_id=frame.frame_id,
            image=frame.image,
            shape=meta['img_shape'],
            max_gap=self.max_gap,
        )
        if not is_continued:
            state.reset()
        elif not self._is_key_frame(frame):
            return None
        return frame.image, frame.frame_id

    def _is_key_frame(self, frame: CurrentFrame) -> bool:
        """Return whether a frame that continues its stream becomes a key frame."""
        cuts = self.cut_detector
        if cuts is not None and cuts.is_cut(frame):
            return True
        # last, for it needs a flow, which a key frame of the scheduler's does not
        return ask(self.scheduler, frame) or (
            cuts is not None and cuts.is_unexplained(frame)
        )
