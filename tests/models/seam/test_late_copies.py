"""Models split late are copied, averaged, compiled and shared by threads."""

import copy
import pickle
import threading

import pytest
import torch
from late_models import build
from mmengine.model import ExponentialMovingAverage
from wrapped_models import SIZE

from dff.checks.inputs import make_sample, make_stream, random_frame

pytestmark = pytest.mark.filterwarnings('ignore')
FLOW = dict(type='ClassicalFlow')
CASES = [('dff_fcos_r50_fpn_vid', 'last'), ('fcn', 'scores')]


def values(result):
    if 'pred_sem_seg' in result:
        return [result.seg_logits.data]
    found = result.pred_instances
    return [found.bboxes, found.scores, found.labels]


def predict(model, video='a', seeds=(0, 1)):
    frames = [(seed, video, n) for n, seed in enumerate(seeds)]
    model.reset_stream()
    return [
        values(result) for result in model.test_step(make_stream(model, SIZE, frames))
    ]


def predict_pair(model, seed):
    meta = dict(video_id=f'video {seed}', frame_id=2, offset=2)
    data = dict(
        inputs=dict(cur=[random_frame(seed, SIZE)], key=[random_frame(seed + 1, SIZE)]),
        data_samples=[make_sample(model, SIZE, **meta)],
    )
    return values(model.test_step(data)[0])


def predict_image(model, seed):
    data = dict(
        inputs=[random_frame(seed, SIZE)], data_samples=[make_sample(model, SIZE)]
    )
    return values(model.image_model.test_step(data)[0])


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize('name, split', CASES)
def test_copies_pickles_and_averages_predict_alike(name, split):
    model = build(name, split, FLOW)
    wanted = predict(model)
    twins = (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        ExponentialMovingAverage(model).module,  # as EMAHook makes it
    )
    for twin in twins:
        for parameter in model.parameters():  # a copy shares none of them
            assert all(parameter is not other for other in twin.parameters())
        for found, value in zip(predict(twin.eval()), wanted, strict=True):
            assert_same(found, value)


def test_an_average_follows_the_model():
    model = build('fcn', 'last', FLOW)
    average = ExponentialMovingAverage(model, momentum=0.5)
    with torch.no_grad():
        model.segmentor.decode_head.conv_seg.weight.mul_(2)
    average.update_parameters(model)  # the first step copies
    for found, value in zip(
        predict(average.module.eval()), predict(model), strict=True
    ):
        assert_same(found, value)


@pytest.mark.slow
@pytest.mark.parametrize('name, split', CASES)
def test_n_feat_is_compiled(name, split):
    model = build(name, split, FLOW)
    data = model.image_model.data_preprocessor(
        dict(inputs=[random_frame(0, SIZE)], data_samples=[make_sample(model, SIZE)])
    )
    images, samples = data['inputs'], data['data_samples']
    with torch.no_grad():
        wanted = model.seam.head(images)
        found = torch.compile(model.seam.head, backend='eager')(images)
        assert found.maps.keys() == wanted.maps.keys()
        for level, feat in wanted.maps.items():
            torch.testing.assert_close(found.maps[level], feat)
        (result,) = model.seam.run('predict', images, found, samples)
    for a, b in zip(values(result), predict_image(model, 0), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('name, split', CASES)
def test_threads_on_one_model_do_not_see_each_other(name, split):
    """Pairs of two videos, and the image model by itself, at the same time."""
    model = build(name, split, FLOW)
    jobs = [
        lambda: predict_pair(model, 10),
        lambda: predict_pair(model, 20),
        lambda: predict_image(model, 30),
    ]
    wanted = [job() for job in jobs]
    model.reset_stream()
    found = [[] for _ in jobs]

    def work(n):
        for _ in range(4):
            found[n].append(jobs[n]())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for results, value in zip(found, wanted, strict=True):
        assert len(results) == 4
        for result in results:
            assert_same(result, value)
