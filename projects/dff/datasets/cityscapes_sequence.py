"""Cityscapes snippets of 30 frames, of which the 20th is labelled."""

from mmseg.datasets import CityscapesDataset
from mmseg.registry import DATASETS

from .source_dataset import VOID

# `id` -> `trainId` of the 19 classes that count, as Cityscapes' own scripts define
# them (cityscapesscripts/helpers/labels.py).
CITYSCAPES_TRAIN_IDS = {
    7: 0,  # road
    8: 1,  # sidewalk
    11: 2,  # building
    12: 3,  # wall
    13: 4,  # fence
    17: 5,  # pole
    19: 6,  # traffic light
    20: 7,  # traffic sign
    21: 8,  # vegetation
    22: 9,  # terrain
    23: 10,  # sky
    24: 11,  # person
    25: 12,  # rider
    26: 13,  # car
    27: 14,  # truck
    28: 15,  # bus
    31: 16,  # train
    32: 17,  # motorcycle
    33: 18,  # bicycle
}
NUM_RAW_IDS = 34  # 0 ... 33; label maps never contain -1, "license plate"
RAW_SUFFIX = '_gtFine_labelIds.png'


@DATASETS.register_module()
class CityscapesSequenceDataset(CityscapesDataset):
    """Read frames of `leftImg8bit_sequence` and label maps of `gtFine`.

    The layout is `leftImg8bit_sequence/SPLIT/CITY/CITY_SEQ_FRAME_leftImg8bit.png`,
    with one label map per snippet in `gtFine/SPLIT/CITY`. By default the maps are
    `_gtFine_labelTrainIds.png`. With `seg_map_suffix='_gtFine_labelIds.png'` the maps
    of the download are read: their ids are mapped to the 19 classes or void.

    Attributes:
        FILE_PATTERN: Default `file_pattern` of `VideoPairDataset` for this data set.
        LABELLED_FRAME: Position of the labelled frame in its snippet.
    """

    FILE_PATTERN = dict(
        pattern=r'(?P<video>[^/]+_\d+)_(?P<frame>\d+)_leftImg8bit', snippet_length=30
    )
    LABELLED_FRAME = 19  # paper Sec. 5.1: the 20th

    def load_data_list(self) -> list[dict]:
        """List the frames, and set the label map that raw ids need."""
        if self.seg_map_suffix == RAW_SUFFIX:
            self.label_map = self._map_raw_ids()
            self._metainfo['label_map'] = self.label_map
        return super().load_data_list()

    def _map_raw_ids(self) -> dict[int, int]:
        chosen = self.get_label_map(self._metainfo['classes'])
        label_map = dict.fromkeys(range(NUM_RAW_IDS), VOID)
        for raw, label in CITYSCAPES_TRAIN_IDS.items():
            label_map[raw] = label if chosen is None else chosen[label]
        return label_map
