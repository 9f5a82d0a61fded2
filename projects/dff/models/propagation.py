"""Feature propagation: F, S and W of the paper (Eq. 1-3).

Shapes in this module: N pairs, C channels, H, W image, h, w feature map.
"""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from dff.ops import feature_warp

from .flow.field import FLOW_MEAN, MIN_FLOW_STRIDE, resize_field, resize_flow
from .seam.feats import Feats

Field = tuple[Tensor, Tensor | None]


@MODELS.register_module()
class FeaturePropagation(BaseModule):
    """Carry key-frame features to the current frame (paper Sec. 3).

    One flow serves all levels; each level is warped and scaled in one pass by
    :func:`dff.ops.feature_warp`, whose only caller this is.

    Args:
        flow_estimator: Flow network, a module or its config; see
            ``docs/design.md`` for its inputs and outputs.
        channel_order: ``'rgb'`` or ``'bgr'``, the order in which the wrapped model
            gets its images. None derives it from the preprocessor and assumes that
            images are loaded as BGR, as mmcv does.

    Raises:
        ValueError: If ``channel_order`` is another one.
    """

    def __init__(
        self,
        flow_estimator: dict | nn.Module,
        *,
        channel_order: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if channel_order not in (None, 'rgb', 'bgr'):
            raise ValueError(
                f"channel_order must be 'rgb', 'bgr' or None, got {channel_order!r}"
            )
        self.channel_order = channel_order
        if isinstance(flow_estimator, dict):
            flow_estimator = MODELS.build(flow_estimator)
        self.flow_estimator = flow_estimator
        # image * gain + shift = the flow network's input, after `is_bgr` is undone.
        self.register_buffer('gain', torch.ones(1, 3, 1, 1), persistent=False)
        self.register_buffer('shift', torch.zeros(1, 3, 1, 1), persistent=False)
        self.is_bgr = False
        self.is_bound = False

    def bind_preprocessor(self, preprocessor: nn.Module) -> None:
        """Derive how to undo the wrapped model's normalisation.

        Args:
            preprocessor: Image preprocessor of the wrapped model, with the buffers
                ``mean`` and ``std`` of mmengine's (none: raw 0..255 images).

        Raises:
            ValueError: If the normalisation cannot be undone.
        """
        name = type(preprocessor).__name__
        is_swapped = getattr(
            preprocessor,
            '_channel_conversion',
            getattr(preprocessor, 'channel_conversion', None),
        )
        if is_swapped is None:
            raise ValueError(
                f'the preprocessor {name} does not say its channel order; expected an '
                'ImgDataPreprocessor of mmengine or a SegDataPreProcessor of mmseg'
            )
        mean, std = torch.zeros(3), torch.ones(3)
        if getattr(preprocessor, '_enable_normalize', False):
            mean = preprocessor.mean.detach().float().flatten().cpu()
            std = preprocessor.std.detach().float().flatten().cpu()
        if len(mean) not in (1, 3) or len(std) not in (1, 3):
            raise ValueError(
                f'mean and std of the preprocessor {name} must have 1 or 3 values, got '
                f'{len(mean)} and {len(std)}'
            )
        if not (torch.isfinite(mean).all() and torch.isfinite(std).all() and std.all()):
            raise ValueError(
                f'the normalisation of the preprocessor {name} cannot be inverted: '
                f'mean {mean.tolist()}, std {std.tolist()}'
            )
        order = self.channel_order or ('rgb' if is_swapped else 'bgr')
        self.is_bgr = order == 'bgr'
        mean, std = mean.expand(3), std.expand(3)
        if self.is_bgr:
            mean, std = mean.flip(0), std.flip(0)
        self.gain.copy_(std.view(1, 3, 1, 1))
        self.shift.copy_((mean - torch.tensor(FLOW_MEAN)).view(1, 3, 1, 1))
        self.is_bound = True

    def to_flow_input(
        self, images: Tensor, img_shapes: Sequence[tuple] | None = None
    ) -> Tensor:
        """Turn the wrapped model's images into the flow network's.

        Args:
            images: (N, 3, H, W), normalised as the wrapped model wants them.
            img_shapes: Size (H, W) inside the padding of each image; what is outside
                becomes 0 (the mean), whatever value the model pads with.

        Returns:
            Full-size RGB frames (N, 3, H, W), 0..255 units minus ``FLOW_MEAN``.

        Raises:
            ValueError: If ``bind_preprocessor`` was not called before.
        """
        if not self.is_bound:
            raise ValueError(
                'FeaturePropagation must know the normalisation of its images: call '
                'bind_preprocessor(model.data_preprocessor) first'
            )
        images = images.to(self.gain.dtype)
        if self.is_bgr:
            images = images.flip(1)
        frames = torch.addcmul(self.shift, images, self.gain)  # (N, 3, H, W)
        for frame, shape in zip(frames, img_shapes or (), strict=False):
            height, width = shape[:2]
            if (height, width) != tuple(frame.shape[-2:]):
                frame[:, height:] = 0
                frame[:, :, width:] = 0
        return frames

    def estimate(
        self,
        cur: Tensor,
        key: Tensor,
        img_shapes: Sequence[tuple] | None = None,
        *,
        levels: Sequence[int] | None = None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Run F and S on images of the wrapped model; see ``to_flow_input``.

        Args:
            cur: Current frames (N, 3, H, W).
            key: Key frames (N, 3, H, W).
            img_shapes: See ``to_flow_input``.
            levels: Levels to estimate a scale for; None is all.

        Returns:
            Flow M_{i->k} (N, 2, h, w) at the network's ``flow_stride``, and scale
            S_{i->k} (N, C, h_l, w_l) by level, empty for a network without scale.

        Raises:
            ValueError: If the two frames differ in size.
        """
        if cur.shape != key.shape:
            raise ValueError(
                f'cur and key must have one size, got {tuple(cur.shape)} and '
                f'{tuple(key.shape)}'
            )
        frames = [self.to_flow_input(images, img_shapes) for images in (cur, key)]
        count = len(self.flow_estimator.strides)
        levels = range(count) if levels is None else sorted(levels)
        if len(levels) == count:
            flow, scale = self.flow_estimator(*frames)
        else:
            flow, scale = self.flow_estimator(*frames, levels=levels)
        if scale is None:
            return flow, {}
        scales = [scale] if isinstance(scale, Tensor) else scale
        return flow, dict(zip(levels, scales, strict=True))

    def estimate_for(
        self,
        feats: Feats,
        cur: Tensor,
        key: Tensor,
        img_shapes: Sequence[tuple] | None = None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Run F and S as ``feats`` need them; see ``estimate``.

        Raises:
            ValueError: If the levels do not fit the flow network, or see ``estimate``.
        """
        self._check_levels(feats)
        return self.estimate(cur, key, img_shapes, levels=list(feats.maps))

    def fields(
        self, flow: Tensor, scale: Mapping[int, Tensor], feats: Feats
    ) -> dict[int, Field]:
        """Bring flow and scale to the size and stride of each level.

        Args:
            flow: (N, 2, h, w) at the flow network's ``flow_stride``.
            scale: By level, from ``estimate``.
            feats: Key features.

        Returns:
            (flow (N, 2, h_l, w_l) in pixels of that level, scale or None) by level.

        Raises:
            ValueError: If the levels do not fit the flow network's strides or scales.
        """
        self._check_levels(feats)
        return {
            level: self._field(flow, scale.get(level), feat, level=level)
            for level, feat in feats.maps.items()
        }

    def _check_levels(self, feats: Feats) -> None:
        strides = self.flow_estimator.strides
        count = max(feats.maps) + 1 if feats.num_levels is None else feats.num_levels
        if count > len(strides) or feats.num_levels not in (None, len(strides)):
            raise ValueError(
                f'{type(self.flow_estimator).__name__} has strides {tuple(strides)}, '
                f'but the model has {count} feature levels to propagate, '
                f'now of the sizes {[tuple(m.shape[-2:]) for m in feats.maps.values()]}'
                ': set `strides` to one per level'
            )

    def _field(
        self, flow: Tensor, scale: Tensor | None, feat: Tensor, *, level: int
    ) -> Field:
        """Bring flow and scale to one level."""
        size, stride = tuple(feat.shape[-2:]), self.flow_estimator.strides[level]
        self._check_size(size, flow, stride, level=level)
        if scale is not None:
            if scale.shape[1] != feat.shape[1]:
                raise ValueError(
                    f'scale_channels of level {level} is {scale.shape[1]}, but its '
                    f'features have {feat.shape[1]} channels'
                )
            ratio = max(MIN_FLOW_STRIDE, stride) / stride
            scale = resize_field(scale, size, ratio=ratio)
        ratio = self.flow_estimator.flow_stride / stride
        return resize_flow(flow, size, ratio=ratio), scale

    def _check_size(self, size: tuple, flow: Tensor, stride: int, *, level: int):
        ratio = self.flow_estimator.flow_stride / stride
        for side, cells in zip(size, flow.shape[-2:], strict=True):
            # Floor and ceil of every halving on the way: two cells of leeway.
            if not (cells - 2) * ratio - 2 <= side <= (cells + 2) * ratio + 2:
                raise ValueError(
                    f'feature level {level} has the size {size}, which is not stride '
                    f'{stride} of the image (flow {tuple(flow.shape[-2:])} at stride '
                    f'{self.flow_estimator.flow_stride}): correct `strides`'
                )

    def warp(self, feats: Feats, fields: Mapping[int, Field]) -> Feats:
        """Apply W (Eq. 3) to each level of ``feats``."""
        return feats.with_maps(
            {level: self._warp(feats, level, *fields[level]) for level in feats.maps}
        )

    @staticmethod
    def _warp(feats: Feats, level: int, flow: Tensor, scale: Tensor | None) -> Tensor:
        feat = feats.maps[level]
        flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
        warped = feature_warp(feat, flow, scale)
        if feats.fill is None:
            return warped
        inside = feature_warp(torch.ones_like(feat[:, :1]), flow)  # (N, 1, h, w)
        return torch.addcmul(warped, 1 - inside, feats.fill[level].to(warped.dtype))

    def forward(
        self,
        feats: Feats,
        cur: Tensor,
        key: Tensor,
        *,
        is_same: Sequence[bool] | None = None,
        img_shapes: Sequence[tuple] | None = None,
        motion: tuple[Tensor, Mapping[int, Tensor]] | None = None,
    ) -> tuple[Feats, Tensor]:
        """Propagate f_k to f_i = W(f_k, M_{i->k}, S_{i->k}).

        Args:
            feats: Key features, maps of (N, C_l, h_l, w_l).
            cur: Current frames (N, 3, H, W) as the wrapped model gets them.
            key: Key frames (N, 3, H, W), likewise.
            is_same: Which pairs are stills (i = k). Their fields become flow 0 and
                scale 1 before the warp, so that f_i is f_k bit for bit and no
                parameter goes unused on a batch of stills.
            img_shapes: See ``to_flow_input``.
            motion: What ``estimate_for`` returned for these frames; None runs it.

        Returns:
            Features of the current frames, and the flow (N, 2, h, w) as estimated.

        Raises:
            ValueError: See ``estimate`` and ``fields``.
        """
        flow, scale = motion or self.estimate_for(feats, cur, key, img_shapes)
        fields = self.fields(flow, scale, feats)
        if is_same is not None and any(is_same):
            still = torch.tensor([bool(s) for s in is_same], device=cur.device)
            fields = _without_motion(fields, still.view(-1, 1, 1, 1))
        return self.warp(feats, fields), flow


def _without_motion(fields: Mapping[int, Field], still: Tensor) -> dict[int, Field]:
    """Replace the fields of stills (N, 1, 1, 1), true or false, by flow 0, scale 1."""
    return {
        level: (
            torch.where(still, 0.0, flow),
            None if scale is None else torch.where(still, 1.0, scale),
        )
        for level, (flow, scale) in fields.items()
    }
