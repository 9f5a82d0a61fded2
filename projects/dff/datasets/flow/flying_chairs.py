"""Flying Chairs, the training data of FlowNet."""

from pathlib import Path

from mmengine.registry import DATASETS

from dff.datasets.text_file import read_text

from .pairs import FlowPairDataset

SPLITS = dict(train='1', val='2')  # lines of the split file


@DATASETS.register_module()
class FlyingChairs(FlowPairDataset):
    """Read Flying Chairs (FlowNet): `NUMBER_{img1.ppm, img2.ppm, flow.flo}`.

    The flow lives on ``img1`` and points into ``img2``: ``cur`` is ``img1``, ``key``
    is ``img2``. Items are those of :class:`FlowPairDataset`.

    Args:
        data_root: Folder of the pairs, `FlyingChairs_release/data`.
        split: ``'train'``, ``'val'``, or None for all pairs.
        split_file: The official ``FlyingChairs_train_val.txt``, needed for ``split``.
            It has one line per pair, 1 (train) or 2 (val), in the order of the names.
        augmentation: Arguments of :class:`FlowAugmentation`, for training.

    Raises:
        FileNotFoundError: If there is no pair, or a file is missing.
        ValueError: If ``split`` is invalid, or the split file does not fit the pairs.
    """

    def __init__(
        self,
        data_root: str,
        *,
        split: str | None = None,
        split_file: str | None = None,
        augmentation: dict | None = None,
    ) -> None:
        super().__init__(data_root, augmentation=augmentation)
        if split not in (None, *SPLITS):
            raise ValueError(f'split must be one of {list(SPLITS)}, got {split!r}')
        if (split is None) != (split_file is None):
            raise ValueError(
                'split and split_file must be set together (or neither, for all '
                f'pairs), got split {split!r} and split_file {split_file!r}'
            )
        if split is not None and split_file is not None:
            self.pairs = self._select(split, Path(split_file))

    def _select(self, split: str, split_file: Path) -> list:
        if not split_file.is_file():
            raise FileNotFoundError(f'split_file {split_file} does not exist')
        lines = read_text(split_file).split()
        wrong = sorted(set(lines) - set(SPLITS.values()))
        if wrong:
            raise ValueError(
                f'{split_file} must have lines of 1 (train) or 2 (val), got {wrong[:5]}'
            )
        if len(lines) != len(self.pairs):
            raise ValueError(
                f'{split_file} must have a line for each of the {len(self.pairs)} '
                f'pairs in {self.data_root}, got {len(lines)}'
            )
        return [
            pair
            for pair, line in zip(self.pairs, lines, strict=True)
            if line == SPLITS[split]
        ]
