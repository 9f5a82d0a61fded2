import itertools
import json
from unittest import mock

import numpy as np
import pytest
from idle_ranks import Videos, evaluate
from mmengine.dataset import ConcatDataset
from mmengine.registry import DATASETS
from processes import spawn_two

from dff.datasets import VideoSampler
from dff.datasets.video_sampler import assign_videos


def on_rank(dataset, rank, world_size, **options):
    info = 'dff.datasets.video_sampler.get_dist_info'
    with mock.patch(info, return_value=(rank, world_size)):
        return list(VideoSampler(dataset, **options))


@pytest.mark.parametrize('world_size', [1, 2, 3, 8])
def test_every_video_is_whole_and_in_order_on_one_rank(world_size):
    dataset = Videos([5, 1, 7, 3])
    parts = [on_rank(dataset, rank, world_size) for rank in range(world_size)]
    assert sorted(itertools.chain(*parts)) == list(range(16))
    for start, stop in dataset.get_video_spans():
        video = list(range(start, stop))
        holders = [part for part in parts if set(part) & set(video)]
        assert len(holders) == 1
        at = holders[0].index(start)
        assert holders[0][at : at + len(video)] == video


def test_balance_is_near_the_best_possible():
    lengths = [30, 2, 25, 11, 9, 8, 17, 4]
    loads = [sum(lengths[v] for v in part) for part in assign_videos(lengths, 3)]
    best = min(
        max(
            sum(n for n, r in zip(lengths, ranks, strict=True) if r == k)
            for k in range(3)
        )
        for ranks in itertools.product(range(3), repeat=len(lengths))
    )
    assert max(loads) <= 4 / 3 * best  # Graham's bound for longest-first


def test_videos_like_those_of_vid_val_are_balanced():
    """555 videos of 176,126 frames, the longest of 2,898."""
    draw = np.random.default_rng(0).lognormal(5.4, 0.8, 554)
    lengths = np.maximum(draw / draw.sum() * (176126 - 2898), 6).astype(int)
    lengths = [2898, *np.minimum(lengths, 2898).tolist()]
    lengths[1 + int(np.argmin(lengths[1:]))] += 176126 - sum(lengths)
    assert sum(lengths) == 176126 and len(lengths) == 555 and max(lengths) == 2898
    dataset = Videos(lengths)
    loads = [len(on_rank(dataset, rank, 8)) for rank in range(8)]
    assert sum(loads) == 176126
    assert max(loads) <= 1.02 * 176126 / 8


def build_stream(root, videos, **options):
    """Build a stream of videos, given by the ids of their frames."""
    images = []
    for video, frames in enumerate(videos):
        for frame in frames:
            place = dict(id=len(images) + 1, file_name=f'{video}/{frame}.png')
            place |= dict(video_id=video, frame_id=frame, height=8, width=8)
            images.append(place)
    content = dict(images=images, annotations=[], categories=[dict(id=1, name='thing')])
    content['videos'] = [dict(id=i, name=str(i)) for i in range(len(videos))]
    (root / 'vid.json').write_text(json.dumps(content))
    inner = dict(type='CocoVIDDataset', data_root=str(root), ann_file='vid.json')
    options |= dict(type='VideoPairDataset', pipeline=[], test_mode=True)
    return DATASETS.build(dict(dataset=inner, **options))


def keys_by_algorithm_1(dataset, indices, interval):
    """Give the key frame of each frame, if they come in this order."""
    keys, last, key = {}, None, None
    for index in indices:
        info = dataset.get_data_info(index)
        video, frame = info['video_id'], info['frame_id']
        if last != (video, frame - 1) or frame - key == interval:
            key = frame
        keys[video, frame] = key
        last = video, frame
    return keys


@pytest.mark.parametrize('world_size', [2, 3, 8])
@pytest.mark.parametrize('interval', [1, 4, 10])
def test_a_cut_changes_no_key_frame(tmp_path, world_size, interval):
    long = [*range(3, 60), *range(63, 64), *range(70, 130)]  # with gaps
    dataset = build_stream(tmp_path, [range(5), long, range(2)])
    expected = keys_by_algorithm_1(dataset, range(len(dataset)), interval)
    found, loads = {}, []
    for rank in range(world_size):
        mine = on_rank(dataset, rank, world_size, key_interval=interval)
        keys = keys_by_algorithm_1(dataset, mine, interval)
        assert not set(keys) & set(found) and len(keys) == len(mine)
        found |= keys
        loads.append(len(mine))
    assert found == expected
    assert max(loads) <= len(dataset) / world_size + max(interval, 2)


def test_one_long_video_keeps_all_ranks_busy(tmp_path):
    dataset = build_stream(tmp_path, [range(1000)])
    whole = [len(on_rank(dataset, rank, 4)) for rank in range(4)]
    cut = [len(on_rank(dataset, rank, 4, key_interval=10)) for rank in range(4)]
    assert sorted(whole) == [0, 0, 0, 1000]
    assert sum(cut) == 1000 and max(cut) <= 1.05 * 250
    alone = on_rank(dataset, 0, 1, key_interval=10)
    assert alone == list(range(1000))


def test_pairs_of_one_key_frame_stay_on_a_rank(tmp_path):
    dataset = build_stream(tmp_path, [range(30)], test_offsets=(0, 1, 2))
    holders = {}
    for rank in range(3):
        for index in on_rank(dataset, rank, 3, key_interval=10):
            holders.setdefault(dataset.items[index].key, set()).add(rank)
    assert sorted(holders) == list(range(30))
    assert all(len(ranks) == 1 for ranks in holders.values())


def test_intervals_are_positive():
    with pytest.raises(ValueError, match='key_interval must be at least 1, got 0'):
        VideoSampler(Videos([3]), key_interval=0)


def test_shortened_data_set_is_cut():
    dataset = Videos([4, 4])
    dataset.__class__ = type('Short', (Videos,), dict(__len__=lambda self: 6))
    assert on_rank(dataset, 0, 1) == [0, 1, 2, 3, 4, 5]


def test_concatenated_data_sets():
    whole = ConcatDataset.__new__(ConcatDataset)
    whole.datasets = [Videos([2, 3]), Videos([4])]
    assert on_rank(whole, 0, 2) == [5, 6, 7, 8]
    assert on_rank(whole, 1, 2) == [0, 1, 2, 3, 4]


def test_data_set_without_videos_is_named():
    with pytest.raises(TypeError, match=r'get_video_spans\(\).*list'):
        VideoSampler([1, 2, 3])


def test_idle_ranks_neither_hang_nor_lose_results(tmp_path):
    spawn_two(evaluate, tmp_path)
    for rank in (0, 1):
        found = json.loads((tmp_path / f'{rank}.json').read_text())
        assert found == dict(count=7, total=21)
