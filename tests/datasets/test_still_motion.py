"""Pairs made of single images."""

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData

from dff.datasets.still_motion import StillMotion

SIZE = (64, 96)
STILL = dict(shift=0.0, zoom=0.0, turn=0.0, stretch=0.0, tilt=0.0, rest=0.0)


def make_item(labels, colour=60):
    """An image whose colour tells its label."""
    image = torch.as_tensor(labels * colour + 20, dtype=torch.uint8).expand(3, *SIZE)
    sample = BaseDataElement()
    if colour:
        data = torch.as_tensor(labels)[None].long().clone()
        sample.gt_sem_seg = PixelData(data=data)
    return dict(inputs=image.clone(), data_samples=sample)


def flat(label):
    return np.full(SIZE, label)


def test_no_motion_leaves_an_image():
    noise = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    item = dict(inputs=noise.clone(), data_samples=BaseDataElement())
    assert torch.equal(StillMotion(**STILL).make_key(item, None), noise)
    moved = StillMotion(shift=0.2).make_key(item, None)
    assert moved.shape == noise.shape and not torch.equal(moved, noise)
    assert torch.equal(item['inputs'], noise)


def test_things_bring_their_labels_and_move_on_their_own():
    """A square of label 3 is laid over label 1, and shows up elsewhere in the key."""
    labels = flat(2)
    labels[20:40, 30:60] = 3
    motion = StillMotion(
        part_classes=[3], num_parts=(1, 1), parts=dict(STILL, shift=0.1), **STILL
    )
    np.random.seed(0)
    moves = []
    for _ in range(20):
        item = make_item(flat(1))
        key = motion.make_key(item, lambda: make_item(labels))
        is_thing = torch.as_tensor(labels == 3)
        assert torch.equal(item['data_samples'].gt_sem_seg.data[0] == 3, is_thing)
        assert torch.equal(item['inputs'][0] == 200, is_thing)
        assert torch.equal(item['inputs'][0] == 80, ~is_thing)
        ys, xs = torch.nonzero(key[0] == 200, as_tuple=True)
        assert 300 < len(ys) <= 600  # all of it but what left the picture
        centre = torch.stack([ys.float().mean(), xs.float().mean()])
        moves.append(float((centre - torch.tensor([29.5, 44.5])).norm()))
    assert max(moves) > 4


def test_nothing_to_lay_over_changes_nothing():
    motion = StillMotion(part_classes=[3], num_parts=(2, 2), **STILL)
    for other in (None, make_item(flat(2)), dict(inputs=torch.zeros(3, 5, 5))):
        item = make_item(flat(1))
        key = motion.make_key(item, lambda other=other: other)
        assert (item['inputs'] == 80).all() and (key == 80).all()


def test_errors():
    with pytest.raises(ValueError, match='num_parts must be 0 <= low <= high'):
        StillMotion(num_parts=(2, 1))
    motion = StillMotion(part_classes=[3], num_parts=(1, 1))
    with pytest.raises(ValueError, match='have no `gt_sem_seg`'):
        motion.make_key(make_item(flat(0), colour=0), None)
