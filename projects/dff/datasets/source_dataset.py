"""The stock data set behind a data set of videos."""

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement

VOID = 255  # label of pixels that count nowhere, in MMSegmentation


def build_frames(dataset: dict | BaseDataset) -> tuple[BaseDataset, dict]:
    """Build the wrapped data set with all of its frames.

    Returns:
        The data set, and the filter that its config asked for.
    """
    if not isinstance(dataset, dict):
        dataset.full_init()
        return dataset, {}
    cfg = dict(dataset)
    if cfg.get('pipeline'):
        raise ValueError(
            'the pipeline belongs to VideoPairDataset, not to the data set that it '
            f'wraps ({cfg.get("type")})'
        )
    filter_cfg = dict(cfg.pop('filter_cfg', None) or {})
    # In test mode stock data sets keep all frames, with their annotations.
    cfg.update(test_mode=True, pipeline=[])
    built = DATASETS.build(cfg)
    built.full_init()
    return built, filter_cfg


def check_labels(sample: BaseDataElement, dataset: BaseDataset) -> None:
    """Refuse labels that the class list does not name.

    Losses index with labels, and metrics leave such pixels out without a word.

    Raises:
        ValueError: The label map of the sample holds such a label.
    """
    if 'gt_sem_seg' not in sample:
        return
    labels, count = sample.gt_sem_seg.data, len(dataset.metainfo['classes'])
    void = labels == getattr(dataset, 'ignore_index', VOID)
    wrong = labels.ge(count) & ~void & (labels != VOID)
    if wrong.any():
        raise ValueError(
            f'the label map of {sample.img_path} holds the labels '
            f'{labels[wrong].unique().tolist()}; there are {count} classes, and {VOID} '
            'is void'
        )
