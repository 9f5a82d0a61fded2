"""Pairs of VID and DET drawn by `RatioSampler`, in this process or on two ranks."""

import itertools
import json

import numpy as np
import torch
import torch.distributed as dist
from mmengine.dataset import ConcatDataset, pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from dff.datasets import RatioSampler


class Part:
    metainfo = dict(classes=('a',))

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, idx):
        return idx

    def full_init(self):
        pass


class Parts:
    """What a ConcatDataset of these sizes says of itself."""

    def __init__(self, *sizes):
        self.datasets = [Part(size) for size in sizes]
        self.edges = np.cumsum(sizes)

    def __len__(self):
        return int(self.edges[-1])

    def __getitem__(self, idx):
        return self.source(idx)

    def source(self, idx):
        return int(np.searchsorted(self.edges, idx, side='right'))


def mixed_dataset(vid_root, det_root):
    """VID as pairs and DET as stills, as configs/_base_/datasets/vid.py has them."""
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs'),
    ]

    def part(root, **kwargs):
        base = dict(type='CocoVIDDataset', data_root=str(root), ann_file='vid.json')
        base['data_prefix'] = dict(img='')
        return dict(type='VideoPairDataset', dataset=base, pipeline=pipeline, **kwargs)

    with DefaultScope.overwrite_default_scope('mmdet'):
        return ConcatDataset(
            [part(vid_root, offset_range=(1, 3)), part(det_root, offset_range=(0, 0))]
        )


def check_pair(cur, key, meta):
    """See that a pair is whole: two frames of one video, or one still twice.

    `make_vid_set` writes the frame's number into blue.
    """
    is_vid = '/vid/' in meta['img_path']
    numbers = [int(image[0].median()) for image in (cur, key)]
    offset = numbers[0] - numbers[1]
    assert (meta['offset'], numbers[0] % 10) == (offset, meta['frame_id'])
    assert numbers[0] // 10 == numbers[1] // 10 == meta['video_id']
    if is_vid:
        assert offset in range(1, 4) or numbers[1] % 10 == 0  # clamped at the start
    assert meta['is_same'] == (offset == 0) and (is_vid or offset == 0)
    return 0 if is_vid else 1


def draw_pairs(dataset, sampler, *, batch_size, count):
    """Return the source of each drawn pair, having looked at its images."""
    loader = DataLoader(dataset, batch_size, sampler=sampler, collate_fn=pseudo_collate)
    sources = []
    for batch in loader:
        inputs = batch['inputs']
        assert len(inputs['cur']) == len(inputs['key']) == batch_size
        sources += [
            check_pair(cur, key, sample.metainfo)
            for cur, key, sample in zip(
                inputs['cur'], inputs['key'], batch['data_samples'], strict=True
            )
        ]
        if len(sources) >= count:
            return sources


def rank_of_two(rank, folder, roots):
    """One of two gloo ranks: what it drew goes to a file."""
    store = (folder / 'store').as_uri()
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
    torch.set_num_threads(1)
    dataset = Parts(101, 57)
    drawn = dict(seed=RatioSampler(dataset, [2, 1]).seed)  # agreed on by a collective
    for size in (1, 2, 4):
        sampler = RatioSampler(dataset, [2, 1], seed=3)
        indices = DataLoader(range(158), size, sampler=sampler)
        flat = itertools.chain.from_iterable(batch.tolist() for batch in indices)
        drawn[f'batch {size}'] = list(itertools.islice(flat, 3000))
    mixed = mixed_dataset(*roots)
    drawn['pairs'] = draw_pairs(
        mixed, RatioSampler(mixed, [2, 1], seed=0), batch_size=1, count=300
    )
    (folder / f'{rank}.json').write_text(json.dumps(drawn))
    dist.barrier()
    dist.destroy_process_group()
