"""What a model needs of its test data set to predict the frames of a video."""

from copy import deepcopy
from typing import Any

from mmengine.registry import DATASETS

FILE_LOADERS = ('LoadImageFromFile', 'LoadImageFromWebcam')


def _find_option(dataset: dict, key: str) -> Any:
    """Return `key` of the outermost of nested data sets that sets it."""
    inner = [dataset['dataset']] if 'dataset' in dataset else dataset.get('datasets')
    return dataset.get(key) or next(
        (value for value in (_find_option(d, key) for d in inner or ()) if value), None
    )


def frame_pipeline(dataset: dict) -> list[dict]:
    """Return the test pipeline of a data set for arrays, without annotations.

    Args:
        dataset: Config of the data set.

    Raises:
        ValueError: If the pipeline has no loader of images.
    """
    pipeline, is_replaced = [], False
    for transform in _find_option(dataset, 'pipeline') or ():
        kind = transform['type']
        *scope, name = (kind if isinstance(kind, str) else kind.__name__).split('.')
        if name in FILE_LOADERS:
            name = '.'.join([*scope, 'LoadImageFromNDArray'])
            to_float32 = transform.get('to_float32', False)
            pipeline.append(dict(type=name, to_float32=to_float32))
            is_replaced = True
        elif not (name.startswith('Load') and name.endswith('Annotations')):
            pipeline.append(deepcopy(transform))
    if not is_replaced:
        names = ' or '.join(FILE_LOADERS)
        raise ValueError(
            f'the pipeline of test_dataloader must contain {names}, to be replaced by '
            f'a transform for arrays; got {[str(t["type"]) for t in pipeline]}'
        )
    return pipeline


def config_metainfo(dataset: dict) -> dict:
    """Return classes and palette of the test data set, or of its class."""
    metainfo = _find_option(dataset, 'metainfo')
    if metainfo is None:
        kind = _innermost(dataset)['type']
        with DATASETS.switch_scope_and_registry(None) as registry:
            cls = registry.get(kind) if isinstance(kind, str) else kind
        metainfo = getattr(cls, 'METAINFO', {})
    return dict(metainfo)


def _innermost(dataset: dict) -> dict:
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.get('dataset') or dataset['datasets'][0]
    return dataset
