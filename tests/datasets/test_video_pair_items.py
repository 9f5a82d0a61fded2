"""Which items a video-pair data set has: fixed offsets, stills, single frames."""

import pytest
import torch
from mmengine.structures import InstanceData
from video_pairs import LOAD, build, edit, frame_of

import dff  # noqa: F401
from dff.evaluation import VideoMetric


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
    with pytest.raises(ValueError, match='vid.json is selected: 3 frames, 0 lab'):
        build(root)
    assert len(build(root, test_mode=True)) == 3
    edit(root, lambda content: content.update(images=[]))
    with pytest.raises(ValueError, match='vid.json holds no images'):
        build(root, test_mode=True)


def test_pipeline_inside_the_wrapped_data_set_is_refused(make_vid_set):
    with pytest.raises(ValueError, match='set the pipeline of VideoPairDataset'):
        build(make_vid_set(), dataset=dict(pipeline=LOAD))
