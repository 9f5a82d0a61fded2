"""Many videos through one model: each gets what it gets alone."""

import copy
import gc
import pickle
import threading

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from split_models import SIZE, TASKS, paper_model, result_of, sample
from split_models import wrap as wrap_at
from wrapped_models import frame

from dff.models import StreamState
from dff.models.current_frame import CurrentFrame
from dff.models.stream_store import StreamStore


def wrap(task, model, **kwargs):
    return wrap_at(task, model, split=1, **kwargs)


def step(model, task, video, index, *, size=SIZE):
    """Predict frame `index` of `video`, whose pictures depend on both."""
    image = frame(100 * video + index, size=size)
    data = dict(
        inputs=[image], data_samples=[sample(task, video_id=video, frame_id=index)]
    )
    with torch.no_grad():
        (prediction,) = model.test_step(data)
    return prediction


def assert_same(task, one, other):
    assert (one.is_key_frame, one.offset) == (other.is_key_frame, other.offset)
    for a, b in zip(result_of(task, one), result_of(task, other), strict=True):
        assert torch.equal(a, b)


def alone(model, task, video, count):
    model.reset_stream()
    return [step(model, task, video, index) for index in range(count)]


@pytest.mark.parametrize('task', TASKS)
def test_eight_interleaved_videos_are_what_each_is_alone(task):
    model = wrap(task, paper_model(task))
    wanted = [alone(model, task, video, 5) for video in range(8)]
    model.reset_stream()
    for index in range(5):
        for video in range(8):
            found = step(model, task, video, index)
            assert_same(task, found, wanted[video][index])
            assert found.is_key_frame == (index % 3 == 0)
            assert model.stream.video_id == video


@pytest.mark.parametrize('count', [12, pytest.param(250, marks=pytest.mark.slow)])
@pytest.mark.parametrize('task', TASKS)
def test_four_threads_are_what_each_is_alone(task, count):
    """`count` frames a thread, of a video of its own and of a state of its own."""
    model = wrap(task, paper_model(task))
    wanted = [alone(model, task, video, count) for video in range(4)]
    model.reset_stream()
    failures = []

    def work(video):
        state = StreamState()
        try:
            for index in range(count):
                if video % 2:
                    found = step(model, task, video, index)
                else:
                    item = frame(100 * video + index, size=SIZE)
                    data = [sample(task, video_id=video, frame_id=index)]
                    batch = dict(inputs=[item], data_samples=data)
                    batch = model.data_preprocessor(batch)
                    with torch.no_grad():
                        found = model.predict_frame(
                            batch['inputs'][0], batch['data_samples'][0], state
                        )
                assert_same(task, found, wanted[video][index])
        except BaseException as error:
            failures.append((video, repr(error)))

    threads = [threading.Thread(target=work, args=(video,)) for video in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_video_that_was_not_seen_for_longest_is_forgotten():
    task = 'segmentor'
    model = wrap(task, paper_model(task))
    model.streams.max_streams = 2
    for video in (0, 1):
        step(model, task, video, 0)
    assert not step(model, task, 0, 1).is_key_frame
    step(model, task, 2, 0)  # forgets 1
    assert not step(model, task, 0, 2).is_key_frame
    assert step(model, task, 1, 1).is_key_frame
    assert len(model.streams) == 2


def test_memory_grows_with_the_videos_that_are_remembered():
    task = 'segmentor'
    model = wrap(task, paper_model(task))
    model.streams.max_streams = 3

    def states():
        gc.collect()
        return sum(type(thing) is StreamState for thing in gc.get_objects())

    before = states()
    for index in range(12):
        step(model, task, index % 6, index)
    assert states() - before == 3
    model.reset_stream()
    assert states() == before


def test_copies_averages_and_pickles_remember_nothing():
    task = 'segmentor'
    model = wrap(task, paper_model(task), flow=(16.0, 0.0))
    wanted = alone(model, task, 0, 2)
    averaged = ExponentialMovingAverage(model)
    for twin in (
        copy.deepcopy(model),
        averaged.module,
        pickle.loads(pickle.dumps(model)),
    ):
        assert len(twin.streams) == 0 and twin.stream.is_empty
        assert twin.streams.max_streams == 16
        for index in range(2):
            assert_same(task, step(twin, task, 0, index), wanted[index])
    assert not any('stream' in name for name in model.state_dict())
    assert not step(model, task, 0, 2).is_key_frame  # its own stream goes on


@pytest.mark.parametrize(
    'forget',
    [
        lambda model: model.eval(),
        lambda model: model.load_state_dict(model.state_dict()),
        lambda model: model.reset_stream(),
    ],
)
def test_a_state_outside_of_the_model_ends_with_the_weights(forget):
    task, state = 'segmentor', StreamState()
    model = wrap(task, paper_model(task), flow=(16.0, 0.0))

    def run(index, other=model):
        batch = dict(
            inputs=[frame(index, size=SIZE)],
            data_samples=[sample(task, video_id=0, frame_id=index)],
        )
        batch = other.data_preprocessor(batch)
        with torch.no_grad():
            return other.predict_frame(
                batch['inputs'][0], batch['data_samples'][0], state
            )

    assert [run(i).is_key_frame for i in range(2)] == [True, False]
    assert model.stream is state and len(model.streams) == 0
    forget(model)
    assert [run(i).is_key_frame for i in (2, 3)] == [True, False]
    assert run(4, copy.deepcopy(model)).is_key_frame


class Watcher:
    """Key frames where the flow is longer than 20 px; counts in the stream's memory."""

    def is_key_frame(self, state, frame_id, frame):
        assert type(frame) is CurrentFrame and frame.frame_id == frame_id
        seen = state.memory.setdefault('seen', [])
        (flow,) = frame.flow
        seen.append(frame_id)
        return float(flow.abs().max()) * 16 > 20


def test_a_scheduler_may_look_at_the_flow_which_is_estimated_once():
    task = 'segmentor'
    model = wrap(task, paper_model(task), flow=(16.0, 0.0), interval=100)
    wanted = alone(model, task, 0, 3)
    estimator = model.propagation.flow_estimator
    estimator.calls = 0
    model.key_frame_scheduler = Watcher()
    for found, other in zip(alone(model, task, 0, 3), wanted, strict=True):
        assert_same(task, found, other)
    assert estimator.calls == 2
    estimator.pixels = (24.0, 0.0)
    assert step(model, task, 0, 3).is_key_frame
    assert model.stream.memory == {'seen': [1, 2, 3]}  # it survives the key frame
    assert model.stream.keys == 2
    step(model, task, 1, 0)
    assert model.stream.memory == {}
    step(model, task, 0, 9)  # another scene, for all that is known
    assert model.stream.memory == {}


class Counted:
    """The contract of version 0.1, with an option of its own."""

    def is_key_frame(self, state, frame_id, is_strict=False):
        assert is_strict is False
        return frame_id % 2 == 0


def test_schedulers_that_see_numbers_only_keep_working():
    task = 'segmentor'
    model = wrap(task, paper_model(task))
    model.key_frame_scheduler = Counted()
    keys = [step(model, task, 0, index).is_key_frame for index in range(4)]
    assert keys == [True, False, True, False]


class Wrong:
    def is_key_frame(self, state):
        return True


def test_a_scheduler_with_other_arguments_is_an_error():
    model = wrap('segmentor', paper_model('segmentor'))
    with pytest.raises(TypeError, match=r'must take \(state, frame_id\).*of Wrong is'):
        type(model)(
            segmentor=paper_model('segmentor'),
            propagation=copy.deepcopy(model.propagation),
            key_frame_scheduler=Wrong(),
        )


@pytest.mark.parametrize('gap, is_key', [(0, False), (3, False), (4, True)])
def test_missing_frames_are_bridged_up_to_max_gap(gap, is_key):
    task = 'segmentor'
    model = wrap(task, paper_model(task), flow=(16.0, 0.0), interval=10)
    step(model, task, 0, 0)
    found = step(model, task, 0, 1 + gap)
    assert found.is_key_frame == is_key
    assert found.offset == (0 if is_key else 1 + gap)


def test_the_offset_counts_missing_frames_and_the_key_comes_in_time():
    task = 'segmentor'
    model = wrap(task, paper_model(task), interval=5)
    found = [step(model, task, 0, index) for index in (0, 2, 4, 6, 9, 13)]
    assert [f.offset for f in found] == [0, 2, 4, 0, 3, 0]


@pytest.mark.parametrize('name', ['max_gap', 'max_streams'])
@pytest.mark.parametrize('value, error', [(-1, ValueError), (1.5, TypeError)])
def test_bounds_that_are_no_counts(name, value, error):
    model = wrap('segmentor', paper_model('segmentor'))
    with pytest.raises(error, match=f'{name} must be'):
        type(model)(
            segmentor=paper_model('segmentor'),
            propagation=copy.deepcopy(model.propagation),
            **{name: value},
        )


def test_a_phase_shortens_the_first_interval_only():
    task = 'segmentor'
    model = wrap(task, paper_model(task), interval=3)
    for phase in range(4):
        model.streams.find(phase).phase = phase
        keys = [i for i in range(9) if step(model, task, phase, i).is_key_frame]
        first = 3 - phase % 3
        assert keys == [0, *range(first, 9, 3)]


def test_a_store_forgets_the_least_recent_first():
    store = StreamStore(2)
    a, b = store.find('a'), store.find('b')
    assert store.find('a') is a
    store.find('c')
    assert store.find('a') is a and store.find('b') is not b
