"""Frame pairs of `configs/vid` as the release trains on them."""

import copy
import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.structures import InstanceData
from torch.testing import assert_close

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/vid'
RELEASE = Config.fromfile(CONFIGS / 'dff_rfcn_r101_vid_release.py')


def part(root, index):
    """VID (0) or DET (1) of the config, read from a tiny set at its own size."""
    cfg = copy.deepcopy(RELEASE.train_dataloader.dataset.datasets[index])
    cfg.dataset.update(
        data_root=str(root), ann_file='vid.json', data_prefix=dict(img='')
    )
    for transform in cfg.pipeline:
        if transform.type == 'ShortSideResize':
            transform.scale = (64, 48)
    with DefaultScope.overwrite_default_scope('mmdet'):
        return DATASETS.build(cfg)


def draw(dataset, frame):
    """Return offset, whether cur and key are flipped, and the first box."""
    data = dataset[frame]
    cur, key = data['inputs']['cur'].float(), data['inputs']['key'].float()
    sample = data['data_samples']
    # Blue is the number of the frame, red the column.
    offset = int(cur[0, 0, 0] - key[0, 0, 0])
    assert sample.offset == offset and sample.is_same == (offset == 0)
    assert cur[0, 0, 0] == sample.frame_id
    flipped = tuple(bool(image[2, 0, 0] > image[2, 0, -1]) for image in (cur, key))
    return offset, flipped, sample.gt_instances.bboxes.tensor[0].tolist()


def test_offsets_are_0_to_9_and_clamped_at_the_start(make_vid_set):
    dataset = part(make_vid_set((24,)), 0)
    late = Counter(draw(dataset, 15)[0] for _ in range(150))
    assert set(late) == set(range(10))
    assert max(late.values()) < 40  # 15 of each, in the mean
    early = Counter(draw(dataset, 3)[0] for _ in range(150))
    assert set(early) == {0, 1, 2, 3}
    assert early[3] == pytest.approx(105, abs=35)  # 3, 4, ... 9
    assert {draw(dataset, 0)[0] for _ in range(30)} == {0}


def test_both_frames_are_flipped_or_none_and_boxes_with_them(make_vid_set):
    dataset = part(make_vid_set((24,)), 0)
    boxes = {False: [4.0, 6, 24, 24], True: [63.0 - 24, 6, 63 - 4, 24]}
    flips = Counter()
    for _ in range(100):
        _, (cur, key), box = draw(dataset, 15)
        assert cur == key and box == boxes[cur]
        flips[cur] += 1
    assert flips[True] == pytest.approx(50, abs=25)


def test_det_images_are_stills(make_vid_set):
    root = make_vid_set((6,))
    content = json.loads((root / 'vid.json').read_text())
    for image in content['images']:
        del image['video_id'], image['frame_id']
    (root / 'vid.json').write_text(json.dumps(content))
    dataset = part(root, 1)
    for index in range(6):
        data = dataset[index]
        assert torch.equal(data['inputs']['cur'], data['inputs']['key'])
        assert data['data_samples'].is_same and data['data_samples'].offset == 0


@pytest.fixture(scope='module')
def model():
    """DFF of the release, thin, with a scale field that is no number."""
    cfg = copy.deepcopy(RELEASE.model)
    cfg.detector.backbone.update(
        depth=50, base_channels=4, stem_channels=4, init_cfg=None
    )
    cfg.detector.neck.in_channels = 128
    cfg.propagation.flow_estimator.update(width=0.05, init_cfg=None)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(cfg).train()
    with torch.no_grad():
        bias = built.propagation.flow_estimator.predict_scale[0].bias
        bias[0], bias[1] = float('inf'), float('nan')
    return built


def batch(is_same):
    generator = torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 208, 256), generator=generator)
    sample = DetDataSample(
        metainfo=dict(img_shape=(208, 256), ori_shape=(208, 256), is_same=is_same)
    )
    sample.set_metainfo(dict(scale_factor=(1.0, 1.0), offset=0 if is_same else 4))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[40.0, 30, 180, 170]]), labels=torch.tensor([4])
    )
    key = images[0] if is_same else images[1]
    return dict(inputs=dict(cur=[images[0]], key=[key]), data_samples=[sample])


def test_a_still_bypasses_flow_and_scale(model):
    """The loss is the detector's own, and F learns nothing from it."""
    data = model.data_preprocessor(batch(is_same=True), training=True)
    torch.manual_seed(1)
    losses = model(**data, mode='loss')
    torch.manual_seed(1)
    alone = model.detector.loss(data['inputs']['cur'], data['data_samples'])
    assert set(losses) == set(alone)
    for name, value in losses.items():
        assert_close(value, alone[name], rtol=0, atol=0)
    model.zero_grad()
    model.parse_losses(losses)[0].backward()
    for name, param in model.propagation.named_parameters():
        assert param.grad is not None and not param.grad.any(), name
    assert model.detector.neck.conv.conv.weight.grad.isfinite().all()
    assert model.detector.neck.conv.conv.weight.grad.any()


def test_a_pair_trains_flow_and_scale(model):
    with torch.no_grad():
        model.propagation.flow_estimator.predict_scale[0].bias.fill_(1.0)
    data = model.data_preprocessor(batch(is_same=False), training=True)
    model.zero_grad()
    model.parse_losses(model(**data, mode='loss'))[0].backward()
    for name in ('predict_flow2.weight', 'predict_scale.0.weight', 'conv1.weight'):
        assert model.propagation.flow_estimator.get_parameter(name).grad.any(), name
