"""Feature propagation: F, S and W of the paper (Eq. 1-3).

Shapes in this module: N pairs, C channels, H, W image, h, w feature map.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from dff.ops import feature_warp

from .feature_levels import Feats, as_levels, like_feats
from .flow.field import FLOW_MEAN, MIN_FLOW_STRIDE, resize_field, resize_flow

Field = tuple[Tensor, Tensor | None]


@MODELS.register_module()
class FeaturePropagation(BaseModule):
    """Carry key-frame features to the current frame (paper Sec. 3).

    One flow serves all levels; each level is warped and scaled in one pass by
    :func:`dff.ops.feature_warp`, whose only caller this is.

    Args:
        flow_estimator: Flow network, a module or its config; see
            ``docs/design.md`` for what it takes and gives.
        channel_order: ``'rgb'`` or ``'bgr'``, the order in which the wrapped model
            gets its images. None reads it off the preprocessor, taking images to be
            loaded as BGR as mmcv does.
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
        """Learn how to undo the wrapped model's normalisation.

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
    ) -> tuple[Tensor, Tensor | list[Tensor] | None]:
        """Run F and S on images of the wrapped model; see ``to_flow_input``.

        Args:
            cur: (N, 3, H, W); ``key`` likewise.
            key: See ``cur``.
            img_shapes: See ``to_flow_input``.
            levels: Which of the flow network's strides scales are wanted for (all).

        Returns:
            flow M_{i->k} (N, 2, h, w) at the network's ``flow_stride`` and scale
            S_{i->k}, as the flow network gives them.

        Raises:
            ValueError: If the two frames differ in size.
        """
        if cur.shape != key.shape:
            raise ValueError(
                f'cur and key must have one size, got {tuple(cur.shape)} and '
                f'{tuple(key.shape)}'
            )
        frames = [self.to_flow_input(images, img_shapes) for images in (cur, key)]
        if levels is None or len(levels) == len(self.flow_estimator.strides):
            return self.flow_estimator(*frames)
        return self.flow_estimator(*frames, levels=levels)

    def fields(
        self,
        flow: Tensor,
        scale: Tensor | list[Tensor] | None,
        feats: Feats,
        *,
        levels: Sequence[int] | None = None,
    ) -> list[Field]:
        """Bring flow and scale to the size and stride of each level.

        Args:
            flow: (N, 2, h, w) at the flow network's ``flow_stride``.
            scale: As given by the flow network.
            feats: Key features, one map a stride of the flow network.
            levels: Which of these strides, where it is not all of them.

        Returns:
            (flow (N, 2, h_l, w_l) in pixels of that level, scale or None) a level.

        Raises:
            ValueError: If levels and strides do not fit each other.
        """
        maps, strides = as_levels(feats), self._strides_of(feats, levels)
        scales = [None] * len(maps) if scale is None else as_levels(scale)
        base = self.flow_estimator.flow_stride
        fields = []
        for index, (feat, stride, field) in enumerate(
            zip(maps, strides, scales, strict=True)
        ):
            size = tuple(feat.shape[-2:])
            self._check_size(size, flow, stride, index=index)
            if field is not None and field.shape[1] != feat.shape[1]:
                raise ValueError(
                    f'scale_channels of level {index} is {field.shape[1]}, but its '
                    f'features have {feat.shape[1]} channels'
                )
            if field is not None:
                ratio = max(MIN_FLOW_STRIDE, stride) / stride
                field = resize_field(field, size, ratio=ratio)
            fields.append((resize_flow(flow, size, ratio=base / stride), field))
        return fields

    def _strides_of(self, feats: Feats, levels: Sequence[int] | None) -> list[int]:
        """Give the stride of each map, and see that there is one for each."""
        strides, maps = list(self.flow_estimator.strides), as_levels(feats)
        if levels is not None and max(levels) < len(strides):
            strides = [strides[level] for level in levels]
        if len(maps) != len(strides) or (levels and len(levels) != len(strides)):
            read = ''
            if not isinstance(feats, Tensor):
                where = [i for i, feat in enumerate(feats) if feat is not None]
                read = f' (levels {where} of {len(feats)})'
            raise ValueError(
                f'{type(self.flow_estimator).__name__} has strides '
                f'{tuple(self.flow_estimator.strides)}, but the model has '
                f'{len(levels or maps)} feature levels to propagate{read}, now of the '
                f'sizes {[tuple(f.shape[-2:]) for f in maps]}: set `strides` to one a '
                'level'
            )
        return strides

    def _check_size(self, size: tuple, flow: Tensor, stride: int, *, index: int):
        ratio = self.flow_estimator.flow_stride / stride
        for got, base in zip(size, flow.shape[-2:], strict=True):
            # Floor and ceil of every halving on the way: two cells of leeway.
            if not (base - 2) * ratio - 2 <= got <= (base + 2) * ratio + 2:
                raise ValueError(
                    f'feature level {index} has the size {size}, which is not stride '
                    f'{stride} of the image (flow {tuple(flow.shape[-2:])} at stride '
                    f'{self.flow_estimator.flow_stride}): correct `strides`'
                )

    def warp(self, feats: Feats, fields: list[Field]) -> Feats:
        """Apply W (Eq. 3) level by level; ``feats`` goes in and out alike."""
        levels = [
            feature_warp(
                feat, flow.to(torch.promote_types(flow.dtype, torch.float32)), scale
            )
            for feat, (flow, scale) in zip(as_levels(feats), fields, strict=True)
        ]
        return like_feats(levels, feats)

    def forward(
        self,
        feats: Feats,
        cur: Tensor,
        key: Tensor,
        *,
        levels: Sequence[int] | None = None,
        is_same: Sequence[bool] | None = None,
        img_shapes: Sequence[tuple] | None = None,
    ) -> Feats:
        """Propagate f_k to f_i = W(f_k, M_{i->k}, S_{i->k}).

        Args:
            feats: Key features, tensor, tuple or list of (N, C_l, h_l, w_l).
            cur: Current frames (N, 3, H, W) as the wrapped model gets them.
            key: Key frames, likewise.
            levels: See ``fields``.
            is_same: Which pairs are stills (i = k). Their fields become flow 0 and
                scale 1 before the warp, so that f_i is f_k bit for bit and no
                parameter goes unused on a batch of stills.
            img_shapes: See ``to_flow_input``.

        Returns:
            Features of the current frames in the form of ``feats``.
        """
        found = self.estimate(cur, key, img_shapes, levels=levels)
        fields = self.fields(*found, feats, levels=levels)
        if is_same is not None and any(is_same):
            still = torch.tensor([bool(s) for s in is_same], device=cur.device)
            still = still.view(-1, 1, 1, 1)
            fields = [
                (
                    torch.where(still, 0.0, flow),
                    None if scale is None else torch.where(still, 1.0, scale),
                )
                for flow, scale in fields
            ]
        return self.warp(feats, fields)
