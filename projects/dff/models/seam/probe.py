"""Try split points on a small image: what they cost, and why they do not fit.

Shapes: N images, C channels, h, w a map.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .feats import Feats, Wanted
from .fit_flow import in_eval_mode, probe_size
from .last_layers import ByMode, find_last_layers
from .nested import leaves_of, replace_leaves
from .paper_splits import SplitPoint
from .two_parts import check_last_layers
from .views import view_of

TAPS = 4  # multiply-adds per warped value, bilinear
# what models raise on inputs and parts of other forms than they expect
MISFITS = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    NotImplementedError,
)


class Probe:
    """A small image on which an image model is tried.

    The backbone runs once for each mode, whatever is tried.

    Args:
        model: Image model.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.size = probe_size(model)
        y, x = (torch.linspace(-1, 1, side) for side in self.size)
        image = (3 * torch.outer(y, x) + x).sin().expand(1, 3, -1, -1)
        self.images = image.to(next(model.parameters()))  # (1, 3, H, W)
        self._outputs: dict[bool, Any] = {}
        self._tried: list[SplitPoint] = []

    def extract_feat(self, *, training: bool = False) -> Any:
        """Return what ``extract_feat`` returns for the image, a copy."""
        if training not in self._outputs:
            backbone = view_of(self.model.backbone, training=training)
            view = view_of(self.model, backbone=backbone)
            with torch.no_grad(), in_eval_mode(self.model):
                self._outputs[training] = view.extract_feat(self.images)
        return replace_leaves(self._outputs[training], Tensor.clone)

    def run(self, split_point: SplitPoint, *, training: bool = True) -> Feats:
        """Run N_feat in eval mode.

        Args:
            split_point: Where it ends.
            training: Whether to return the maps that are read in training.
        """
        view = view_of(self.model, extract_feat=lambda *_: self.extract_feat())
        with torch.no_grad(), in_eval_mode(self.model):
            return split_point.head(
                view, self.images, Wanted(training=training, outputs_read=_unknown)
            )

    def attempt(
        self, make: Callable[['Probe'], SplitPoint]
    ) -> tuple[SplitPoint | None, str]:
        """Make a split point and try N_feat.

        Returns:
            The split point and an empty text, or None and why it does not fit.
        """
        try:
            split_point = make(self)
            if split_point not in self._tried:
                self.run(split_point)
                self._tried.append(split_point)
        except MISFITS as error:
            text = ' '.join(str(error).split())
            is_ours = type(error) in (ValueError, TypeError)
            return None, text if is_ours else f'{type(error).__name__}: {text:.200}'
        return split_point, ''

    def cheapest(self, split_points: Sequence[SplitPoint]) -> SplitPoint:
        """Return the split point where a propagated frame costs least."""
        first, *others = split_points
        if all(other == first for other in others):
            return first
        return min(split_points, key=self.cost)

    def last_layers(self, head: nn.Module, *feats: Any) -> ByMode:
        """Find the last layers of a head and try to start there.

        Args:
            head: Of the model.
            feats: Its input; a second one is that of training.

        Returns:
            The layers in eval mode, and those in training.

        Raises:
            ValueError: If the head has none or cannot be run from there on.
        """
        found = []
        with in_eval_mode(self.model):
            for mode, given in ((False, feats[0]), (True, feats[-1])):
                view = view_of(head, training=mode)
                small = replace_leaves(given, _corner)
                layers = find_last_layers(view, small)
                check_last_layers(view, layers, small)
                found.append(layers)
        return found[0], found[1]

    def extra_outputs(self, head: nn.Module) -> tuple[int, ...]:
        """Return which outputs a head has in training only, by their places.

        Raises:
            ValueError: If some of those in prediction are none of those in training.
        """
        outputs = []
        with torch.no_grad(), in_eval_mode(self.model):
            for training in (False, True):
                view = view_of(head, training=training)
                found = view.forward(self.extract_feat(training=training))
                outputs.append(list(leaves_of(found)))
        read, trained = outputs
        if len(read) == len(trained):
            return ()
        extra = [
            place
            for place, leaf in enumerate(trained)
            if not any(torch.equal(leaf, other) for other in read)
        ]
        if len(extra) + len(read) != len(trained):
            raise ValueError(
                f'{type(head).__name__} returns {len(read)} maps in prediction, which '
                f'are not among the {len(trained)} of training'
            )
        return tuple(extra)

    def cost(self, split_point: SplitPoint) -> int:
        """Count what a propagated frame costs: warped values and the last layers."""
        feats = self.run(split_point, training=False)
        count = getattr(split_point, 'multiply_adds', lambda *_: 0)
        warped = sum(feat.numel() for feat in feats.maps.values())
        return TAPS * warped + count(self.model, feats)

    def share_behind_backbone(self) -> float | None:
        """Estimate the multiply-adds behind ``extract_feat`` as a share of the model's.

        Returns:
            Share in 0..1; None for a model that cannot predict on the image.
        """
        size = self.size
        meta = dict(
            **dict.fromkeys(
                ('ori_shape', 'img_shape', 'pad_shape', 'batch_input_shape'), size
            ),
            scale_factor=(1.0, 1.0),
            flip=False,
        )
        kind = DetDataSample if hasattr(self.model, 'bbox_head') else SegDataSample
        counts = []
        for outputs in (None, self.extract_feat()):
            view = self.model
            if outputs is not None:
                view = view_of(view, extract_feat=lambda *_, o=outputs: o)
            try:
                with torch.no_grad(), in_eval_mode(self.model), _MultiplyAdds() as ops:
                    view.predict(self.images, [kind(metainfo=dict(meta))])
            except MISFITS:
                return None
            counts.append(ops.count)
        return counts[1] / counts[0] if counts[0] else None


class _MultiplyAdds(TorchDispatchMode):
    """Count the multiply-adds of convolutions and matrix products, times two."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.count += count(*args, **(kwargs or {}), out_val=output)
        return output


def _corner(feat: Tensor) -> Tensor:
    """Return a quarter of each side, enough to see which layer reads which."""
    # GroupNorm refuses a single cell
    height, width = (max(2, -(-side // 4)) for side in feat.shape[-2:])
    return feat[..., :height, :width].contiguous()


def _unknown(*, training: bool) -> range:
    return range(0)
