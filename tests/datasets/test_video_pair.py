import random
from collections import Counter

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from video_pairs import build, edit, frame_of

import dff  # noqa: F401


def test_offsets_are_uniform_and_clamped(make_vid_set):
    data = build(make_vid_set((8,), first_frames=(3,)), offset_range=(0, 3))
    np.random.seed(0)
    for cur, allowed in ((10, {10: 1, 9: 1, 8: 1, 7: 1}), (4, {4: 1, 3: 3})):
        keys = Counter()
        for _ in range(400):
            item = data[cur - 3]
            sample = item['data_samples']
            key = frame_of(item['inputs']['key'])
            assert frame_of(item['inputs']['cur']) == cur == sample.frame_id
            assert sample.offset == cur - key
            assert sample.is_same is (cur == key)
            keys[key] += 1
        assert set(keys) == set(allowed)
        for key, share in allowed.items():  # 5 sigma of a binomial draw
            expected = 400 * share / sum(allowed.values())
            assert abs(keys[key] - expected) < 5 * np.sqrt(expected)


def test_pair_stays_in_its_video(make_vid_set):
    data = build(make_vid_set((3, 3)), offset_range=(2, 9))
    assert data.get_video_spans() == [(0, 3), (3, 6)]
    keys = [frame_of(data[i]['inputs']['key']) for i in range(6)]
    assert keys == [0, 0, 0, 10, 10, 10]


def test_draws_are_shared_and_then_go_on(make_vid_set):
    flip = dict(type='mmdet.RandomFlip', prob=0.5)
    data = build(make_vid_set((6,)), flip, offset_range=(1, 3))
    np.random.seed(0)
    flips = []
    for _ in range(40):
        item = data[5]
        flipped = [bool(item['inputs'][n][2, 0, 0] > 0) for n in ('cur', 'key')]
        assert flipped[0] == flipped[1] == item['data_samples'].flip
        flips.append(flipped[0])
    assert 8 < sum(flips) < 32


def test_random_state_after_a_pair_is_that_after_one_frame(make_vid_set):
    root = make_vid_set((6,))
    flip = dict(type='mmdet.RandomFlip', prob=0.5)
    states = []
    for kwargs in (dict(offset_range=(2, 2)), dict(offset_range=(0, 0))):
        data = build(root, flip, **kwargs)
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        data[5]
        states.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert states[0] == states[1]


class DrawsByPixel(BaseTransform):
    def transform(self, results):
        for _ in range(int(results['img'][0, 0, 0])):
            np.random.rand()
        return results


def test_pixel_dependent_draws_are_an_error(make_vid_set):
    data = build(make_vid_set((6,)), DrawsByPixel(), offset_range=(2, 2))
    with pytest.raises(ValueError, match=r'000005.png and .*000003.png differently'):
        data[5]


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='mmdet.Mosaic'),
        dict(type='CachedMixUp'),
        dict(type='RandomApply', transforms=[dict(type='mmdet.CopyPaste')]),
    ],
)
def test_unpairable_transforms_are_named(make_vid_set, transform):
    name = transform.get('transforms', [transform])[0]['type'].split('.')[-1]
    with pytest.raises(ValueError, match=name):
        build(make_vid_set(), transform)


def test_unlabelled_frames_are_keys_but_never_cur(make_vid_set):
    root = make_vid_set(
        (10,),
        is_labelled=lambda video, frame: frame % 3 == 0,
        is_empty=lambda video, frame: frame == 6,
    )
    data = build(root, offset_range=(1, 1))
    items = [data[i] for i in range(len(data))]
    assert [item['data_samples'].frame_id for item in items] == [0, 3, 6, 9]
    assert [frame_of(item['inputs']['key']) for item in items] == [0, 2, 5, 8]
    counts = [len(item['data_samples'].gt_instances) for item in items]
    assert counts == [2, 2, 0, 2]
    empty = build(root, dataset=dict(filter_cfg=dict(filter_empty_gt=True)))
    assert [empty.get_data_info(i)['frame_id'] for i in range(len(empty))] == [0, 3, 9]
    stream = build(root, test_mode=True)
    samples = [stream[i]['data_samples'] for i in range(len(stream))]
    assert [sample.frame_id for sample in samples] == list(range(10))
    assert [s.frame_id for s in samples if s.is_labelled] == [0, 3, 6, 9]
    assert [s.get('instances') is None for s in samples] == [
        not s.is_labelled for s in samples
    ]
    assert samples[6].instances == []


@pytest.mark.parametrize('what', ['file', 'entry'])
def test_missing_key_is_an_error_or_the_nearest(make_vid_set, what):
    root = make_vid_set((6,))
    if what == 'file':
        (root / 'video_0' / '000003.png').unlink()
    else:

        def drop(content):
            content['images'] = [i for i in content['images'] if i['frame_id'] != 3]
            content['annotations'] = []

        edit(root, drop)
    strict = build(root, offset_range=(2, 2))
    last = len(strict) - 1
    named = '000003.png' if what == 'file' else "frame 3 of video 'video_0'"
    with pytest.raises(FileNotFoundError, match=named):
        strict[last]
    item = build(root, offset_range=(2, 2), missing='nearest')[last]
    assert frame_of(item['inputs']['key']) == 4
    assert item['data_samples'].offset == 1


def test_missing_or_unreadable_cur_is_named(make_vid_set):
    root = make_vid_set((3,))
    (root / 'video_0' / '000001.png').unlink()
    (root / 'video_0' / '000002.png').write_bytes(b'not an image')
    data = build(root, test_mode=True)
    with pytest.raises(FileNotFoundError, match='000001.png'):
        data[1]
    with pytest.raises(ValueError, match='cannot read frame .*000002.png'):
        data[2]
    (root / 'video_0' / '000002.png').write_bytes(b'')
    with pytest.raises(ValueError, match='cannot read frame .*000002.png'):
        data[2]


def test_change_of_frame_size_is_named(make_vid_set):
    root = make_vid_set((3,))
    other = make_vid_set((3,), size=(32, 48), name='other')
    name = 'video_0/000001.png'
    (root / name).write_bytes((other / name).read_bytes())
    data = build(root, offset_range=(1, 1))
    message = r'000002.png is 64x48, .*000001.png is 32x48'
    with pytest.raises(ValueError, match=message):
        data[2]


class GiveUp(BaseTransform):
    def __init__(self, frames):
        self.frames = frames

    def transform(self, results):
        return None if results['frame_id'] in self.frames else results


def test_given_up_frames_are_drawn_again(make_vid_set):
    root = make_vid_set((4,))
    data = build(root, GiveUp([0, 1, 3]))
    assert {data[i]['data_samples'].frame_id for i in range(4)} == {2}
    hopeless = build(root, GiveUp(range(4)), max_refetch=5)
    with pytest.raises(RuntimeError, match='rejected 5 frames in a row.*video_0'):
        hopeless[0]
    with pytest.raises(RuntimeError, match='rejected .*000001.png'):
        build(root, GiveUp([1]), test_mode=True)[1]
