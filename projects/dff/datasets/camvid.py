"""CamVid: street videos with eleven classes."""

from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from .source_dataset import VOID

CAMVID_VOID = 11  # label of "void" in the eleven-class maps


@DATASETS.register_module()
class CamVidDataset(BaseSegDataset):
    """Read CamVid with the eleven classes that are usual since SegNet.

    The layout is `data_prefix['img_path']/VIDEO/FRAME.jpg` and
    `data_prefix['seg_map_path']/VIDEO/FRAME.png`. Frames without a label map are
    unlabelled. Losses and metrics ignore pixels of label 11 (void).

    Args:
        img_suffix: Suffix of the images.
        kwargs: As for mmseg's `BaseSegDataset`.
    """

    METAINFO = dict(
        classes=(
            'sky building pole road pavement tree sign-symbol fence car pedestrian '
            'bicyclist'
        ).split(),
        palette=[
            [128, 128, 128],
            [128, 0, 0],
            [192, 192, 128],
            [128, 64, 128],
            [0, 0, 192],
            [128, 128, 0],
            [192, 128, 128],
            [64, 64, 128],
            [64, 0, 128],
            [64, 64, 0],
            [0, 128, 192],
        ],
    )

    def __init__(self, *, img_suffix: str = '.jpg', **kwargs) -> None:
        """Read the folders."""
        super().__init__(img_suffix=img_suffix, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int]:
        """Map CamVid's void, and excluded classes, to the void of MMSegmentation."""
        return {**(super().get_label_map(new_classes) or {}), CAMVID_VOID: VOID}
