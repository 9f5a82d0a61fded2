"""Build the data set that a data set of videos wraps, and check its labels."""

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmengine.structures import BaseDataElement

VOID = 255  # MMSegmentation's label of pixels that losses and metrics ignore


def build_source_dataset(dataset: dict | BaseDataset) -> tuple[BaseDataset, dict]:
    """Build a data set with all of its frames.

    Args:
        dataset: The data set or its config, without a pipeline.

    Returns:
        The data set, and the `filter_cfg` of the config, which was not applied.

    Raises:
        ValueError: If the config has a pipeline.
    """
    if not isinstance(dataset, dict):
        dataset.full_init()
        return dataset, {}
    cfg = dict(dataset)
    if cfg.get('pipeline'):
        raise ValueError(
            'set the pipeline of VideoPairDataset, not that of the data set that it '
            f'wraps ({cfg.get("type")})'
        )
    filter_cfg = dict(cfg.pop('filter_cfg', None) or {})
    # In test mode mmengine's data sets filter out no frame.
    cfg.update(test_mode=True, pipeline=[])
    built = DATASETS.build(cfg)
    built.full_init()
    return built, filter_cfg


def check_labels(sample: BaseDataElement, dataset: BaseDataset) -> None:
    """Check that the classes of a data set cover the labels of a sample.

    Losses index with labels, and metrics silently ignore labels outside the classes.

    Args:
        sample: Sample with or without a label map `gt_sem_seg` (1, H, W).
        dataset: Data set whose metainfo lists the classes.

    Raises:
        ValueError: If the label map contains a label without a class.
    """
    if 'gt_sem_seg' not in sample:
        return
    labels, count = sample.gt_sem_seg.data, len(dataset.metainfo['classes'])
    void = labels == getattr(dataset, 'ignore_index', VOID)
    wrong = labels.ge(count) & ~void & (labels != VOID)
    if wrong.any():
        raise ValueError(
            f'the label map of {sample.img_path} contains the labels '
            f'{labels[wrong].unique().tolist()}, expected labels below {count} (the '
            f'number of classes) or {VOID} (void)'
        )
