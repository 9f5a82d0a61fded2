import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import DATASETS
from mmengine.structures import InstanceData

import dff  # noqa: F401
from dff.evaluation import VideoMetric

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
    with pytest.raises(RuntimeError, match='gave up 5 frames in a row.*video_0'):
        hopeless[0]
    with pytest.raises(RuntimeError, match='gave up .*000001.png'):
        build(root, GiveUp([1]), test_mode=True)[1]


@pytest.mark.parametrize('clamp', [False, True])
def test_fixed_offsets(make_vid_set, clamp):
    root = make_vid_set(
        (5, 2), first_frames=(3, 0), is_labelled=lambda video, frame: frame != 5
    )
    data = build(root, test_mode=True, test_offsets=[0, 2], clamp_test_offsets=clamp)
    seen = []
    for i in range(len(data)):
        item = data[i]
        cur, key = (frame_of(item['inputs'][n]) for n in ('cur', 'key'))
        sample = item['data_samples']
        assert sample.offset == cur - key and sample.is_same == (cur == key)
        seen.append((cur, key))
    # key by key, so that a model may keep the features of a key frame
    whole = [(6, 4), (7, 5), (6, 6), (7, 7)]
    early = [(3, 3), (3, 3), (4, 3), (4, 4)]
    second = [(10, 10), (10, 10), (11, 10), (11, 11)]
    assert seen == (early + whole + second if clamp else whole)
    assert data.num_left_out == (0 if clamp else 4)
    assert data.get_video_spans() == ([(0, 8), (8, 12)] if clamp else [(0, 4)])


def test_every_nth_frame_at_fixed_offsets(make_vid_set):
    root = make_vid_set((7, 4), is_labelled=lambda video, frame: frame != 2)
    data = build(root, test_mode=True, test_offsets=[0, 1], frame_stride=2)
    pairs = {
        (int(item['data_samples'].frame_id), int(item['data_samples'].offset))
        for item in (data[i] for i in range(4, len(data)))
    }
    curs = [frame_of(data[i]['inputs']['cur']) for i in range(len(data))]
    # of 1, 3, 4, 5, 6 every second; of the other video 1 and 3 would have their keys
    assert sorted(curs) == [1, 1, 4, 4, 6, 6, 11, 11]
    assert data.num_left_out == 2
    assert {offset for _, offset in pairs} == {0, 1}
    with pytest.raises(ValueError, match='frame_stride must be >= 1, got 0'):
        build(root, test_mode=True, test_offsets=[0], frame_stride=0)


def test_stills_need_to_be_asked_for(make_vid_set):
    root = make_vid_set((3,))

    def forget_videos(content):
        for image in content['images']:
            del image['video_id'], image['frame_id']

    edit(root, forget_videos)
    with pytest.raises(ValueError, match='no video information.*as_stills=True'):
        build(root)
    stock = dict(metainfo=dict(classes=('cat', 'dog')), data_prefix=dict(img=''))
    for kind, extra in (('CocoVIDDataset', {}), ('mmdet.CocoDataset', stock)):
        data = build(root, kind=kind, dataset=extra, as_stills=True)
        items = [data[i] for i in range(3)]
        assert [item['data_samples'].is_same for item in items] == [True] * 3
        assert len({item['data_samples'].video_id for item in items}) == 3
        for item in items:
            assert torch.equal(item['inputs']['cur'], item['inputs']['key'])


def test_stock_video_data_set_keeps_unlabelled_frames_in_frame_order(make_vid_set):
    root = make_vid_set((5,), is_labelled=lambda video, frame: frame != 2)

    def reverse_ids(content):
        for row, key in (
            (content['images'], 'id'),
            (content['annotations'], 'image_id'),
        ):
            for entry in row:
                entry[key] = 100 - entry[key]

    edit(root, reverse_ids)
    extra = dict(metainfo=dict(classes=('cat', 'dog')), data_prefix=dict(img_path=''))
    data = build(
        root, kind='mmdet.BaseVideoDataset', dataset=extra, offset_range=(1, 1)
    )
    pairs = []
    for i in range(len(data)):
        inputs = data[i]['inputs']
        pairs.append((frame_of(inputs['cur']), frame_of(inputs['key'])))
    assert pairs == [(0, 0), (1, 0), (3, 2), (4, 3)]


def test_single_frames_for_stock_detectors(make_vid_set):
    root = make_vid_set((10, 4))
    data = build(root, pairs=False, frame_stride=2, max_frames_per_video=3)
    items = [data[i] for i in range(len(data))]
    assert [frame_of(item['inputs']) for item in items] == [0, 4, 8, 10, 12]
    assert [len(item['data_samples'].gt_instances) for item in items] == [2] * 5


def test_instances_feed_stock_coco_metric(make_vid_set):
    root = make_vid_set(
        (4,),
        is_labelled=lambda video, frame: frame != 2,
        is_empty=lambda video, frame: frame == 3,
    )
    resize = dict(type='mmdet.Resize', scale=(32, 24))
    data = build(root, resize, test_mode=True)
    results = {}
    for name, shift in (('right', 0), ('wrong', 30)):
        metric = VideoMetric(dict(type='mmdet.CocoMetric', metric='bbox'))
        metric.dataset_meta = data.metainfo
        for i in range(len(data)):
            sample = data[i]['data_samples']
            sample.set_metainfo(dict(ori_shape=(48, 64)))
            boxes = torch.tensor([[4.0, 6, 24, 24], [30, 20, 54, 42]]) + shift
            # On the unlabelled and the empty frame a model may say this:
            boxes = (
                boxes if sample.frame_id < 2 or not sample.is_labelled else boxes[:0]
            )
            sample.pred_instances = InstanceData(
                bboxes=boxes,
                scores=torch.ones(len(boxes)),
                labels=torch.arange(len(boxes)),
            )
            metric.process(None, [sample.to_dict()])
        results[name] = metric.evaluate(len(data))['coco/bbox_mAP']
    assert results['right'] == pytest.approx(1.0)
    assert results['wrong'] == 0.0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(offset_range=(3, 1)), 'offset_range must be'),
        (dict(missing='skip'), 'missing must be'),
        (dict(test_offsets=[0]), 'needs test_mode=True'),
        (dict(test_mode=True, test_offsets=[-1]), 'unique and >= 0'),
        (dict(frame_stride=0), 'frame_stride'),
    ],
)
def test_options_are_checked(make_vid_set, options, message):
    with pytest.raises(ValueError, match=message):
        build(make_vid_set(), **options)


def test_set_without_labelled_frames_is_named(make_vid_set):
    root = make_vid_set((3,), is_labelled=lambda video, frame: False)
    with pytest.raises(ValueError, match='vid.json gives no frame.* 3 frames, 0 lab'):
        build(root)
    assert len(build(root, test_mode=True)) == 3
    edit(root, lambda content: content.update(images=[]))
    with pytest.raises(ValueError, match='vid.json holds no images'):
        build(root, test_mode=True)


def test_pipeline_inside_the_wrapped_data_set_is_refused(make_vid_set):
    with pytest.raises(ValueError, match='pipeline belongs to VideoPairDataset'):
        build(make_vid_set(), dataset=dict(pipeline=LOAD))
