"""A backbone as a chain of stages and blocks, of which a part can be run.

Shapes: N images, H, W image, C channels, h, w a map.
"""

from collections.abc import Callable, Sequence

from mmdet.models import backbones as mmdet_backbones
from mmseg.models import backbones as mmseg_backbones
from torch import Tensor, nn


def _run_resnet_stem(backbone: nn.Module, x: Tensor) -> Tensor:
    if backbone.deep_stem:
        return backbone.maxpool(backbone.stem(x))
    return backbone.maxpool(backbone.relu(backbone.norm1(backbone.conv1(x))))


# The method `forward` of a family: what runs before the stages, who lists the stages.
# A subclass belongs to its family as long as it leaves `forward` alone.
FAMILIES: dict[Callable, tuple[Callable, str]] = {
    mmdet_backbones.ResNet.forward: (_run_resnet_stem, 'res_layers'),
    mmseg_backbones.ResNet.forward: (_run_resnet_stem, 'res_layers'),
    mmdet_backbones.MobileNetV2.forward: (lambda b, x: b.conv1(x), 'layers'),
    mmseg_backbones.MobileNetV2.forward: (lambda b, x: b.conv1(x), 'layers'),
    mmdet_backbones.CSPDarknet.forward: (lambda b, x: x, 'layers'),
    mmdet_backbones.CSPNeXt.forward: (lambda b, x: x, 'layers'),
}
FAMILY_NAMES = 'ResNet, MobileNetV2, CSPDarknet and CSPNeXt'


class StagedBackbone:
    """View of a backbone whose ``forward`` is stem, stages, and a list of outputs.

    Args:
        module: Backbone of one of the ``FAMILIES`` of mmdet or mmseg.

    Raises:
        ValueError: If it is none, such as Swin, or has a ``forward`` of its own.
    """

    def __init__(self, module: nn.Module) -> None:
        if type(module).forward not in FAMILIES:
            raise ValueError(
                'a split inside the backbone needs one that is a chain of stages '
                f'({FAMILY_NAMES}, of mmdet or mmseg), got {type(module).__name__}'
            )
        self.module = module
        self._stem, listed = FAMILIES[type(module).forward]
        self.names: list[str] = list(getattr(module, listed))
        self.outputs: list[int] = sorted(set(module.out_indices))

    @property
    def last(self) -> int:
        """Index of the last stage that the outputs need."""
        return self.outputs[-1]

    def stem(self, images: Tensor) -> Tensor:
        """Run what stands before the stages on images (N, 3, H, W)."""
        return self._stem(self.module, images)

    def blocks(self, stage: int) -> list[nn.Module]:
        """Return the modules that a stage runs one after the other."""
        module = getattr(self.module, self.names[stage])
        is_chain = type(module).forward is nn.Sequential.forward
        return list(module) if is_chain else [module]

    def run(
        self, x: Tensor, stage: int, *, start: int = 0, stop: int | None = None
    ) -> Tensor:
        """Run a stage, or its blocks from ``start`` up to, without, ``stop``."""
        if start == 0 and stop is None:
            return getattr(self.module, self.names[stage])(x)
        for block in self.blocks(stage)[start:stop]:
            x = block(x)
        return x

    def as_output(self, maps: Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
        """Return the maps of the outputs in the form of the module's ``forward``."""
        is_bare = type(self.module).forward is mmseg_backbones.MobileNetV2.forward
        return maps[0] if is_bare and len(maps) == 1 else tuple(maps)
