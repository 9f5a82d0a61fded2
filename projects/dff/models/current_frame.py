"""What is known of the frame that a scheduler decides on."""

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from .propagation import FeaturePropagation
from .seam.feats import Feats
from .seam.feature_seam import FeatureSeam
from .seam.windows import Window, cut, join_windows, shape_inside
from .stream_state import StreamState

Motion = tuple[Tensor, Mapping[int, Tensor]]


class CurrentFrame:
    """The frame i of a stream whose key frame is k.

    What needs work, such as ``flow``, is computed when it is first asked for, and once.
    A frame that is propagated uses the same flow, so that a scheduler that looks at it
    costs no second F; for a frame that becomes a key frame it costs one F.

    Args:
        image: The frame (1, 3, H, W), padded as the model gets it.
        meta: Metainfo of its data sample.
        state: State after the preceding frame; its key frame has the same size.
        seam: Where N_feat of the model ends.
        propagation: F, S and W of the model.
    """

    def __init__(
        self,
        image: Tensor,
        meta: dict,
        state: StreamState,
        *,
        seam: FeatureSeam,
        propagation: FeaturePropagation,
    ) -> None:
        self.image = image
        self.meta = meta
        self.state = state
        self.seam = seam
        self.propagation = propagation

    @property
    def frame_id(self) -> int:
        """Number of the frame in its video."""
        return self.meta['frame_id']

    @cached_property
    def windows(self) -> list[Window]:
        """Parts of the image that the model looks at in turn; most models have one."""
        return self.seam.windows(self.image)

    @cached_property
    def motion(self) -> list[Motion]:
        """Flow and scale (by level) of each window, as F and S return them."""
        return [
            self.propagation.estimate_for(
                feats, *self.pair(window), [self.shape_of(window)]
            )
            for window, feats in zip(self.windows, self.state.key_feats, strict=True)
        ]

    @property
    def flow(self) -> list[Tensor]:
        """Flow M_{i->k} of each window, (1, 2, h, w) in pixels of its own map."""
        return [flow for flow, _ in self.motion]

    @property
    def joined_flow(self) -> Tensor:
        """Flow M_{i->k} of the whole image, (1, 2, h, w) in pixels of its own map."""
        flows = [flow.detach() for flow in self.flow]
        stride = self.propagation.flow_estimator.flow_stride
        size = self.image.shape[-2:]
        return join_windows(flows, self.windows, size=size, stride=stride)

    def pair(self, window: Window) -> tuple[Tensor, Tensor]:
        """Return a window of this frame and of its key frame, both (1, 3, h, w)."""
        key = self.state.key_image
        assert key is not None  # the caller has checked that there is one
        return cut(self.image, window), cut(key, window)

    def shape_of(self, window: Window) -> tuple[int, int]:
        """Return the size (H, W) of the part of a window inside the padding."""
        return shape_inside(self.meta['img_shape'], window)

    def propagate(self) -> list[Feats]:
        """Return the key features carried to this frame, one entry per window (W)."""
        parts = zip(self.windows, self.state.key_feats, self.motion, strict=True)
        return [
            self.propagation(feats, *self.pair(window), motion=motion)[0]
            for window, feats, motion in parts
        ]
