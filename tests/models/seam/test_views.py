"""N_task runs on a view of the image model: nothing is replaced on shared objects."""

import copy
import pickle
import threading

import pytest
import torch
from split_models import SIZE, TASKS, image_predict, paper_model, predict, wrap
from torch import nn
from wrapped_models import frame

from dff.models.seam.views import view_of


class Doubler(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return self.scale() * self.layer(x)

    def scale(self):
        return 2


def test_a_view_differs_in_what_is_replaced_and_shares_the_rest():
    module = Doubler()
    view = view_of(module, scale=lambda: 3)
    x = torch.rand(4, 2)
    torch.testing.assert_close(view(x) / 3, module(x) / 2)
    assert type(view) is Doubler and view.layer is module.layer
    nn.init.zeros_(module.layer.weight)
    torch.testing.assert_close(view(x), 3 * module.layer.bias.expand(4, 2))
    child = view_of(module, layer=lambda x: x)
    assert torch.equal(child(x), 2 * x) and isinstance(module.layer, nn.Linear)


def test_a_view_of_a_compiled_module_runs_what_was_replaced():
    module = Doubler()
    module.compile(backend='eager')
    assert torch.equal(view_of(module, forward=lambda x: x + 1)(torch.ones(2)),
                       torch.full((2,), 2.0))  # fmt: skip


@pytest.mark.parametrize('task', TASKS)
@pytest.mark.parametrize('split', [0, 1, 5])
def test_the_image_model_is_usable_in_the_middle_of_a_prediction(task, split):
    """A hook that runs the image model itself gets the image model's results."""
    video = wrap(task, paper_model(task), split=split, flow=(32.0, -16.0))
    other = frame(7, size=SIZE)
    wanted = image_predict(video, task, other)
    key, cur = frame(3, size=SIZE), frame(4, size=SIZE)
    expected = predict(video, task, [key, cur])
    inside = []

    def hook(*_):
        if not inside:
            inside.append(None)
            inside.append(image_predict(video, task, other))

    layer = video.propagation.flow_estimator
    handle = layer.register_forward_hook(hook)
    found = predict(video, task, [key, cur])
    handle.remove()
    for a, b in zip(inside[1], wanted, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(found[1], expected[1], strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('task', TASKS)
def test_threads_with_models_that_share_their_weights(task):
    """Video models around one image model do not see each other's features."""
    image_model = paper_model(task)
    videos = [
        wrap(task, image_model, split=split, flow=(16.0, 16.0 * n))
        for n, split in enumerate((0, 1, 1, 5))
    ]
    images = [[frame(10 * n + i, size=SIZE) for i in range(4)] for n in range(4)]
    wanted = [predict(v, task, i) for v, i in zip(videos, images, strict=True)]
    found: list = [None] * 4

    def work(n):
        with torch.no_grad():
            found[n] = [predict(videos[n], task, images[n]) for _ in range(3)][-1]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, theirs in zip(found, wanted, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize('split', [0, 1])
def test_copies_and_pickles_predict_alike(split):
    video = wrap('segmentor', paper_model('segmentor'), split=split, flow=(16.0, 0.0))
    images = [frame(1, size=SIZE), frame(2, size=SIZE)]
    wanted = predict(video, 'segmentor', images)
    for twin in (copy.deepcopy(video), pickle.loads(pickle.dumps(video))):
        found = predict(twin, 'segmentor', images)
        for a, b in zip(found, wanted, strict=True):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
