"""Loss, backward and prediction under autocast, beside float32."""

import pytest
import torch
from detectors_under_test import build
from mmengine.logging import MessageHub
from mmengine.optim import AmpOptimWrapper
from test_wrapped_detectors import sample, stream
from wrapped_models import SIZE, frame

# bfloat16 keeps 8 bits: 0.4 % a value, ten layers of it and more
LOSS_BOUND, GRADIENT_BOUND, SCORE_BOUND = 0.05, 0.95, 0.05
NAME = 'dff_fcos_r50_fpn_vid'


def pairs():
    return dict(
        inputs=dict(cur=[frame(0)], key=[frame(7)]),
        data_samples=[sample(video_id=0, frame_id=9, is_same=False, offset=3)],
    )


def loss_of(model):
    MessageHub.get_current_instance().update_info('iter', 0)
    data = model.data_preprocessor(pairs(), training=True)
    return model.parse_losses(model(**data, mode='loss'))[0]


def gradients(model):
    model.zero_grad()
    loss = loss_of(model)
    loss.backward()
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    assert all(torch.isfinite(g).all() for g in grads)
    return loss.detach(), torch.cat(grads)


def test_bfloat16_on_the_cpu_stays_near_float32():
    model = build(NAME).train()
    flows = []
    estimate = model.propagation.estimate

    def spy(*args, **kwargs):
        found = estimate(*args, **kwargs)
        flows.append(found[0].detach())
        return found

    model.propagation.estimate = spy
    loss, gradient = gradients(model)
    with torch.autocast('cpu', torch.bfloat16):
        near, near_gradient = gradients(model)
    assert [flow.dtype for flow in flows] == [torch.float32] * 2
    assert float(abs(near - loss) / loss) < LOSS_BOUND
    cosine = torch.nn.functional.cosine_similarity(gradient, near_gradient, dim=0)
    assert float(cosine) > GRADIENT_BOUND

    model.eval()
    frames = [(0, 'a', 0), (1, 'a', 1)]
    wanted = stream(model, frames)
    model.reset_stream()
    with torch.autocast('cpu', torch.bfloat16):
        found = stream(model, frames)
    for ours, exact in zip(found, wanted, strict=True):
        best, near = exact.pred_instances.scores[:10], ours.pred_instances.scores[:10]
        assert torch.allclose(best, near.float(), rtol=0, atol=SCORE_BOUND)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_amp_on_cuda_trains():
    model = build(NAME).cuda().train()
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=1e-3
    )
    wrapper = AmpOptimWrapper(optimizer=optimizer)
    exact = float(loss_of(model))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with wrapper.optim_context(model):
        loss = loss_of(model)
    assert float(abs(loss - exact)) / exact < LOSS_BOUND
    wrapper.update_params(loss)
    after = dict(model.named_parameters())
    assert all(torch.isfinite(p).all() for p in after.values())
    name = 'propagation.flow_estimator.conv1.weight'
    assert SIZE and not torch.equal(after[name], before[name])
