"""A video-pair data set for tests, and what its pixels say."""

import json

from mmengine.registry import DATASETS

import dff  # noqa: F401

LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='mmdet.LoadAnnotations', with_bbox=True),
]
PACK = dict(type='mmdet.PackDetInputs', meta_keys=('flip',))


def build(root, *transforms, kind='CocoVIDDataset', dataset=None, **kwargs):
    inner = dict(type=kind, data_root=str(root), ann_file='vid.json')
    inner.update(dataset or {})
    pipeline = [*LOAD, *transforms, PACK]
    cfg = dict(type='VideoPairDataset', dataset=inner, pipeline=pipeline, **kwargs)
    return DATASETS.build(cfg)


def frame_of(image):
    """Read the frame's own number off the blue plane."""
    values = image[0].unique()
    assert len(values) == 1
    return int(values)


def edit(root, change):
    path = root / 'vid.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
