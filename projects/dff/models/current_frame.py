"""What is known of the frame that a scheduler decides on."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from .flow.field import FLOW_MEAN, resize_flow
from .low_resolution import distance_to_range, shrink, warp_picture
from .propagation import FeaturePropagation
from .seam.feats import Feats, join, join_feats
from .seam.feature_seam import FeatureSeam
from .seam.windows import Window, cut, join_windows, shape_inside
from .stream_state import StreamState

Motion = tuple[Tensor, Mapping[int, Tensor]]
KEY_THUMBNAIL = 'key_thumbnail'  # in StreamState.memory: number and picture of the key
MIN_CELLS = 20  # on the longer side of a thumbnail
UNEXPLAINED = 10.0  # of 255: more than noise and rounding leave in a mean over a cell


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
        self._motion: list[Motion] | None = None

    @property
    def frame_id(self) -> int:
        """Number of the frame in its video."""
        return self.meta.get('frame_id', 0)  # a single image has none

    @property
    def windows(self) -> list[Window]:
        """Parts of the image that the model looks at in turn; most models have one."""
        return self.seam.windows(self.image)

    @property
    def motion(self) -> list[Motion]:
        """Flow and scale (by level) of each window, as F and S return them."""
        if self._motion is None:
            estimate_together([self])
        assert self._motion is not None
        return self._motion

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

    @property
    def thumbnail_stride(self) -> int:
        """Pixels per cell of ``thumbnail``: as of the flow, fewer in small frames."""
        stride = self.propagation.flow_estimator.flow_stride
        longer = max(self.meta['img_shape'][:2])
        while stride > 1 and longer < MIN_CELLS * stride:
            stride //= 2
        return stride

    @cached_property
    def thumbnail(self) -> Tensor:
        """The frame without its padding (1, 3, h, w) at low resolution, RGB in 0..255.

        A cell is the mean of ``thumbnail_stride`` x ``thumbnail_stride`` pixels.
        """
        return self._shrink(self.image)

    @property
    def key_thumbnail(self) -> Tensor:
        """The key frame (1, 3, h, w), as ``thumbnail``; the state remembers it."""
        state = self.state
        frame_id, picture = state.memory.get(KEY_THUMBNAIL, (None, None))
        if picture is None or frame_id != state.key_frame_id:
            assert state.key_image is not None  # the caller has checked it
            picture = self._shrink(state.key_image)
            state.memory[KEY_THUMBNAIL] = (state.key_frame_id, picture)
        return picture

    @cached_property
    def warped_key(self) -> Tensor:
        """``key_thumbnail`` moved to this frame by ``flow``, (1, 3, h, w)."""
        stride = self.propagation.flow_estimator.flow_stride
        picture, flow = self.key_thumbnail, self.joined_flow
        if stride != self.thumbnail_stride:
            ratio = stride / self.thumbnail_stride
            flow = resize_flow(flow, tuple(picture.shape[-2:]), ratio=ratio)
        return warp_picture(picture, flow)

    @cached_property
    def residual(self) -> Tensor:
        """What the warped key frame leaves of this frame: (1, 1, h, w), 0..255.

        Mean absolute difference of R, G and B, on the cells of ``thumbnail``.
        """
        return (self.thumbnail - self.warped_key).abs().mean(1, keepdim=True)

    @cached_property
    def unexplained(self) -> float:
        """Share of the cells, 0 to 1, that the warped key frame does not explain.

        A cell is explained if R, G and B lie within the range of the 3x3 cells around
        its place in the warped key frame, give or take ``UNEXPLAINED``.
        """
        outside = distance_to_range(self.thumbnail, self.warped_key)
        return float((outside.amax(1) > UNEXPLAINED).float().mean().cpu())

    def _shrink(self, image: Tensor) -> Tensor:
        height, width = self.meta['img_shape'][:2]
        cells = shrink(image[..., :height, :width], self.thumbnail_stride)
        mean = torch.tensor(FLOW_MEAN, device=cells.device).view(1, 3, 1, 1)
        return self.propagation.to_flow_input(cells) + mean

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
        return propagate_together([self])[0]


def estimate_together(frames: Sequence[CurrentFrame]) -> None:
    """Run F and S once for frames of one size whose motion is not known yet."""
    unknown = [frame for frame in frames if frame._motion is None]
    if not unknown:
        return
    found: list[list[Motion]] = [[] for _ in unknown]
    for index, window in enumerate(unknown[0].windows):
        feats = join_feats([frame.state.key_feats[index] for frame in unknown])
        pairs = zip(*(frame.pair(window) for frame in unknown), strict=True)
        cur, key = (join(images) for images in pairs)  # (N, 3, h, w)
        shapes = [frame.shape_of(window) for frame in unknown]
        flow, scale = unknown[0].propagation.estimate_for(feats, cur, key, shapes)
        for n, motions in enumerate(found):
            own = {level: field[n : n + 1] for level, field in scale.items()}
            motions.append((flow[n : n + 1], own))
    for frame, motion in zip(unknown, found, strict=True):
        frame._motion = motion


def propagate_together(frames: Sequence[CurrentFrame]) -> list[list[Feats]]:
    """Carry key features to frames of one size, by one F and one W for all of them.

    Returns:
        For each frame its features, one entry per window.
    """
    estimate_together(frames)
    carried: list[list[Feats]] = [[] for _ in frames]
    for index, window in enumerate(frames[0].windows):
        feats = join_feats([frame.state.key_feats[index] for frame in frames])
        pairs = zip(*(frame.pair(window) for frame in frames), strict=True)
        motions = [frame.motion[index] for frame in frames]
        motion = (
            join([flow for flow, _ in motions]),  # (N, 2, h, w)
            {n: join([scale[n] for _, scale in motions]) for n in motions[0][1]},
        )
        cur, key = (join(images) for images in pairs)
        found, _ = frames[0].propagation(feats, cur, key, motion=motion)
        for own, part in zip(carried, found.split(), strict=True):
            own.append(part)
    return carried
