"""A Frame checkpoint fills the wrapped model, one of another model does not."""

import pytest
import torch
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from dff.checkpoint import adapt_frame_state_dict, check_complete


def image_model(depth=2, classes=3):
    layers = [nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
              for _ in range(depth)]  # fmt: skip
    return nn.ModuleDict(dict(backbone=nn.Sequential(*layers),
                              head=nn.Linear(3, classes)))  # fmt: skip


class Video(nn.Module):
    def __init__(self, **kwargs):
        super().__init__()
        self.detector = image_model(**kwargs)
        self.propagation = nn.Linear(2, 2)
        self.reports = []
        self._register_load_state_dict_pre_hook(self.fit)

    def fit(self, state_dict, prefix, *args):
        if prefix:
            return
        adapted, report = adapt_frame_state_dict(state_dict, self)
        self.reports.append(report)
        state_dict.clear()
        state_dict.update(adapted)


@pytest.mark.parametrize('load', [load_state_dict, None])
def test_a_frame_checkpoint_fills_the_wrapped_model(load):
    frame, video = image_model(), Video()
    before = video.propagation.weight.clone()
    if load is None:
        video.load_state_dict(frame.state_dict(), strict=False)
    else:
        load(video, frame.state_dict())
    for key, value in frame.state_dict().items():
        assert torch.equal(video.detector.state_dict()[key], value), key
    assert torch.equal(video.propagation.weight, before)
    count = len(frame.state_dict())
    assert video.reports == [
        f'{count} of {count} keys of detector are filled from the checkpoint; 2 keys '
        'of the model keep their initial values, 0 of the checkpoint are not used'
    ]


def test_a_video_checkpoint_is_left_as_it_is():
    state = Video().state_dict()
    adapted, report = adapt_frame_state_dict(state, Video())
    assert report == '' and adapted == dict(state)


def test_nothing_matching_names_both_sides():
    other = nn.ModuleDict(dict(stem=nn.Linear(5, 5))).state_dict()
    with pytest.raises(ValueError) as caught:
        adapt_frame_state_dict(other, Video())
    message = str(caught.value)
    assert 'another model than Video: 0 of' in message
    assert 'stem.weight' in message and 'detector.backbone.0.0.weight' in message


@pytest.mark.parametrize('is_frame', [True, False])
def test_a_deeper_or_shallower_model_names_the_keys(is_frame):
    """A part of it matches: mmengine would load that and only warn."""
    def state(depth):
        return (image_model(depth) if is_frame else Video(depth=depth)).state_dict()

    with pytest.raises(ValueError, match=r'Unexpected: detector\.backbone\.2\.0\.we'):
        adapt_frame_state_dict(state(3), Video())
    with pytest.raises(ValueError, match=r'Missing: detector\.backbone\.1\.0\.weight'):
        adapt_frame_state_dict(state(1), Video())


def test_no_more_than_ten_keys_are_listed():
    with pytest.raises(ValueError, match=r'and \d+ more\.') as caught:
        adapt_frame_state_dict(image_model(9).state_dict(), Video())
    assert str(caught.value).count('detector.backbone') == 10


def test_other_classes_may_start_a_training_but_not_a_test():
    frame, video = image_model(classes=5), Video()
    adapted, report = adapt_frame_state_dict(frame.state_dict(), video)
    assert report.endswith('shape: detector.head.weight, detector.head.bias')
    with pytest.raises(ValueError, match=r'Of another shape: detector\.head\.weight'):
        check_complete(adapted, video)


def test_a_batch_counter_may_be_missing():
    state = image_model().state_dict()
    state = {k: v for k, v in state.items() if 'num_batches_tracked' not in k}
    assert adapt_frame_state_dict(state, Video())[1]
    check_complete(state, image_model())


def test_a_flow_network_may_be_exchanged_for_one_without_weights():
    trained, classical = Video(), Video()
    classical.propagation = nn.Identity()
    adapted, report = adapt_frame_state_dict(trained.state_dict(), classical)
    assert report.endswith('2 of the checkpoint are not used')
    check_complete(adapted, classical)
    adapted, report = adapt_frame_state_dict(classical.state_dict(), trained)
    assert '2 keys of the model keep their initial values' in report
    with pytest.raises(ValueError, match=r'Missing: propagation\.weight'):
        check_complete(adapted, trained)


def test_half_a_flow_network_is_another_model():
    state = Video().state_dict()
    del state['propagation.bias']
    with pytest.raises(ValueError, match=r'Missing: propagation\.bias'):
        adapt_frame_state_dict(state, Video())
