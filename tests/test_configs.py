"""Every shipped config: builds, and its parts fit each other.

`tests/test_configs_scope.py` holds what `dff::…` adds to that.
"""

import ast
import copy
import math
import re
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

import dff  # noqa: F401  (registers the classes)

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
NAMES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
MODEL_NAMES = [name for name in NAMES if not name.startswith('flow/')]
# What is only tested; it is another config's model.
TESTED = re.compile(r'_offsets\.py$|/copy_|/sff_|_separate_')
TRAINED = [name for name in MODEL_NAMES if not TESTED.search(name)]
DFF = [name for name in TRAINED if '/dff_' in name]
SCOPES = {
    name: Config.fromfile(CONFIGS / name).get('default_scope') for name in MODEL_NAMES
}
DETECTORS = [name for name in MODEL_NAMES if SCOPES[name] == 'mmdet']
SEGMENTORS = [name for name in MODEL_NAMES if SCOPES[name] == 'mmseg']
MINI = [name for name in TRAINED if name.split('/')[0] in ('mini', 'camvid')]

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
RELEASE = dict(mean=[123.15, 115.90, 103.06], std=[1.0, 1.0, 1.0])
# BGR, by the authors of Detectron and of RTMDet
DETECTRON = dict(mean=[102.9801, 115.9465, 122.7717], std=[1.0, 1.0, 1.0])
RTMDET = dict(mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395])
BGR_INPUTS = (DETECTRON, RTMDET)
DEFAULT_STYLES = dict(ResNet='pytorch')  # mmdet's and mmseg's
# What the weights of a source were trained with: architecture, style, input.
WEIGHT_SOURCES = (
    (r'torchvision://resnet(\d+)$', 'ResNet', 'pytorch', IMAGENET),
    (r'data/weights/resnet(\d+)_mxnet\.pth$', 'ResNet', 'caffe', RELEASE),
    (r'open-mmlab://detectron/resnet(\d+)_caffe$', 'ResNet', 'caffe', DETECTRON),
    (r'.*/cspnext-tiny_imagenet_600e\.pth$', 'CSPNeXt', None, RTMDET),
    (r'data/weights/mobilenet_v2_imagenet_mmseg\.pth$', 'MobileNetV2', None, IMAGENET),
    (
        r'work_dirs/frame_rfcn_r(18)_synthetic/iter_1200\.pth$',
        'ResNet',
        'pytorch',
        IMAGENET,
    ),
)


@pytest.fixture(autouse=True)
def _one_thread():
    """Run on one thread: for maps this small a second one only costs time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def read(name):
    return Config.fromfile(CONFIGS / name)


def build(cfg):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return MODELS.build(copy.deepcopy(cfg.model))


def image_model_of(cfg):
    """Config of the image model, wrapped or not, its types with their scopes."""
    model = cfg.model.get('detector', cfg.model.get('segmentor', cfg.model))
    return model.to_dict()


def bases_of(path):
    """Paths of the configs that a file names as `_base_`; a package's as strings."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '_base_':
            value = ast.literal_eval(node.value)
            names = [value] if isinstance(value, str) else value
            return [n if '::' in n else (path.parent / n).resolve() for n in names]
    return []


def depth(path):
    if isinstance(path, str):
        return 0
    return max((1 + depth(base) for base in bases_of(path)), default=0)


def strings(node):
    if isinstance(node, str):
        yield node
    elif isinstance(node, (dict, list, tuple)):
        for value in node.values() if isinstance(node, dict) else node:
            yield from strings(value)


def datasets_in(node):
    """Yield every VideoPairDataset below a config."""
    if isinstance(node, dict):
        if node.get('type') == 'VideoPairDataset':
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from datasets_in(value)


def weight_complaints(model, scope):
    """Say what about an image model's input or style contradicts its weights."""
    backbone, pre = model['backbone'], model['data_preprocessor']
    kind_of_backbone = backbone['type']
    if 'MobileNetV2' in kind_of_backbone:  # mmdet's has other names and blocks
        given, _, kind_of_backbone = kind_of_backbone.rpartition('.')
        if (given or scope) != 'mmseg':
            kind_of_backbone = f'{given or scope}.{kind_of_backbone}'
    checkpoint = (backbone.get('init_cfg') or {}).get('checkpoint')
    if checkpoint is None:
        frozen = backbone.get('frozen_stages', -1) >= 0 or backbone.get('norm_eval')
        return ['frozen without weights'] if frozen else []
    for pattern, kind, style, expected in WEIGHT_SOURCES:
        match = re.match(pattern, checkpoint)
        if not match:
            continue
        facts = dict(
            type=(kind_of_backbone, kind),
            style=(backbone.get('style', DEFAULT_STYLES.get(kind)), style),
            mean=(list(pre['mean']), expected['mean']),
            std=(list(pre['std']), expected['std']),
            bgr_to_rgb=(pre.get('bgr_to_rgb', False), expected not in BGR_INPUTS),
        )
        if match.groups():
            facts['depth'] = (backbone['depth'], int(match.group(1)))
        return [
            f'{k}: {got} not {want}' for k, (got, want) in facts.items() if got != want
        ]
    return [f'unknown weights {checkpoint}']


@pytest.mark.parametrize('name', MODEL_NAMES)
def test_style_normalisation_and_weights_agree(name):
    assert weight_complaints(image_model_of(read(name)), SCOPES[name]) == []


@pytest.mark.parametrize(
    'name, change, complaint',
    [
        ('vid/frame_rfcn_r101_vid.py', dict(backbone=dict(style='pytorch')), 'style'),
        ('vid/frame_rfcn_r50_vid.py', dict(backbone=dict(depth=101)), 'depth'),
        (
            'vid/frame_rfcn_r50_vid_torchvision.py',
            dict(data_preprocessor=RELEASE),
            'mean',
        ),
        (
            'vid/frame_rfcn_r50_vid_torchvision.py',
            dict(data_preprocessor=dict(bgr_to_rgb=False)),
            'bgr_to_rgb',
        ),
        (
            'mini/frame_rfcn_mobilenetv2_pets.py',
            dict(backbone=dict(type='MobileNetV2')),
            'type',
        ),
        (
            'vid/frame_rfcn_r101_vid.py',
            dict(backbone=dict(init_cfg=dict(checkpoint='open-mmlab://x'))),
            'unknown',
        ),
        (
            'vid/frame_rfcn_r101_vid.py',
            dict(backbone=dict(init_cfg=None)),
            'frozen without',
        ),
    ],
)
def test_a_contradiction_is_found(name, change, complaint):
    cfg = read(name)
    cfg.merge_from_dict(dict(model=change))
    assert complaint in weight_complaints(cfg.model, 'mmdet')[0]


@pytest.mark.parametrize('name', NAMES)
def test_bases_are_shallow_and_paths_relative(name):
    assert depth(CONFIGS / name) <= 2
    for value in strings(read(name).to_dict()):
        assert not value.startswith(('/', '~', '..')), value


@pytest.mark.parametrize('name', TRAINED)
def test_frame_trains_on_frames_and_dff_on_pairs(name):
    datasets = list(datasets_in(read(name).train_dataloader.to_dict()))
    assert datasets
    assert {d.get('pairs', True) for d in datasets} == {name in DFF}


@pytest.mark.parametrize('name', TRAINED)
def test_schedule_adds_up(name):
    cfg = read(name)
    iters = cfg.train_cfg.max_iters
    is_paper = cfg.auto_scale_lr.base_batch_size == 8
    gpus = 8 if is_paper else 4 if name.endswith('_release.py') else 1
    assert cfg.train_dataloader.batch_size * gpus == cfg.auto_scale_lr.base_batch_size
    for scheduler in cfg.param_scheduler:
        last = max([scheduler.get('end', 0), *scheduler.get('milestones', [])])
        assert last < iters and scheduler.by_epoch is False
    if cfg.load_from:
        source, last = re.match(
            r'work_dirs/(\w+)/iter_(\d+)\.pth', cfg.load_from
        ).groups()
        frame = read(f'{Path(name).parent}/{source}.py')
        assert frame.train_cfg.max_iters == int(last)
        assert re.sub('_(mix|long)$', '', source) == re.sub(
            '(?:dff|frame)_(.*?)(_dis|_noscale|_fixn|_fixf)?_([a-z]+)(_long|_mix|_copied)?$',
            r'frame_\1_\3',
            Path(name).stem,
        )


@pytest.mark.parametrize('name', DFF)
def test_dff_wraps_the_model_of_its_frame_config(name):
    cfg = read(name)
    frame = re.sub(
        'dff_(.*?)(_dis|_noscale|_half|_inception|_fixn|_fixf)?'
        '_([a-z]+)(_torchvision)?(_release)?.py',
        r'frame_\1_\3\4.py',
        name,
    )
    assert image_model_of(cfg) == read(frame).model.to_dict()
    wrapped = dict(mmdet='detector', mmseg='segmentor')[SCOPES[name]]
    assert set(cfg.model) <= {
        'type',
        wrapped,
        'propagation',
        'key_frame_scheduler',
        'labels_only',
        'frozen_modules',
        '_scope_',
    }


STRIDES = {
    'CenterNet': [4],
    'DETR': [32],
    'DeformableDETR': [8, 16, 32, 64],
    'DINO': [8, 16, 32, 64],
}


@pytest.mark.parametrize('name', DETECTORS)
def test_model_builds_and_its_strides_are_right(name):
    """Feature levels have the strides that heads and the flow network expect."""
    cfg = read(name)
    model = build(cfg).eval()
    detector = getattr(model, 'detector', model)
    # these upsample by two, so their preprocessors pad
    is_padded = type(detector).__name__ in ('CenterNet', 'RTMDet', 'YOLOX')
    assert not is_padded or detector.data_preprocessor.pad_size_divisor == 32
    size = (96, 128) if is_padded else (70, 100)
    with torch.no_grad():
        feats = detector.extract_feat(torch.zeros(1, 3, *size))
    head = getattr(detector, 'rpn_head', None) or detector.bbox_head
    if hasattr(head, 'prior_generator'):
        strides = [stride[0] for stride in head.prior_generator.strides]
    else:  # the transformers' and CenterNet's heads read what they get
        strides = STRIDES[type(detector).__name__]
    for feat, stride in zip(feats, strides, strict=True):
        assert feat.shape[2:] == tuple(math.ceil(side / stride) for side in size)
    if detector is not model:
        estimator = model.propagation.flow_estimator
        assert list(estimator.strides) == strides
        channels = cfg.model.propagation.flow_estimator.get('scale_channels')
        assert channels in (None, feats[0].shape[1])
    elif cfg.model.type == 'RFCN':
        assert detector.roi_head.spatial_scale == 1 / strides[0]


@pytest.mark.parametrize('name', SEGMENTORS)
def test_segmentor_builds_and_its_strides_are_right(name):
    """The levels that heads read have the strides and widths of the flow network."""
    cfg = read(name)
    model = build(cfg).eval()
    if 'segmentor' not in cfg.model:
        return
    size = (70, 100)
    with torch.no_grad():
        feats = model.seam.head(torch.zeros(1, 3, *size))
    levels = model.seam.levels(feats)
    maps = (
        [feats]
        if isinstance(feats, torch.Tensor)
        else [f for f in feats if f is not None]
    )
    estimator = model.propagation.flow_estimator
    strides = [estimator.strides[i] for i in levels or range(len(maps))]
    for feat, stride in zip(maps, strides, strict=True):
        assert feat.shape[2:] == tuple(math.ceil(side / stride) for side in size)
    channels = cfg.model.propagation.flow_estimator.get('scale_channels')
    if channels is not None:
        widths = channels if isinstance(channels, list) else [channels] * len(maps)
        assert [widths[i] for i in levels or range(len(maps))] == [
            feat.shape[1] for feat in maps
        ]
    classes = {'camvid': 11, 'cityscapes': 19, 'mini': 4, 'wrapped': 19}
    head = model.segmentor.decode_head
    assert head.num_classes == classes[name.split('/')[0]]


def make_batch(is_pair, scope):
    """Return two images or pairs, 96 x 128, with a box or a label map each."""
    generator = torch.manual_seed(0)
    images = torch.randint(
        0, 256, (2, 3, 96, 128), generator=generator, dtype=torch.uint8
    )
    samples = []
    for offset in range(2):
        kind = SegDataSample if scope == 'mmseg' else DetDataSample
        sample = kind(
            metainfo=dict(
                img_shape=(96, 128),
                ori_shape=(96, 128),
                scale_factor=(1.0, 1.0),
                is_same=offset == 0,
                offset=offset,
            )
        )
        if scope == 'mmseg':
            labels = torch.randint(0, 3, (1, 96, 128), generator=generator)
            sample.gt_sem_seg = PixelData(data=labels)
        else:
            sample.gt_instances = InstanceData(
                bboxes=torch.tensor([[10.0, 10, 50, 80]]), labels=torch.tensor([0])
            )
        samples.append(sample)
    inputs = list(images)
    if is_pair:
        moved = images.roll((2, 5), dims=(2, 3))
        inputs = dict(cur=inputs, key=[images[0], moved[1]])
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize('name', MINI)
def test_mini_model_trains_two_iterations(name):
    model = build(read(name))
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], 0.01
    )
    for _ in range(2):
        batch = make_batch(name in DFF, SCOPES[name])
        batch = model.data_preprocessor(batch, training=True)
        losses = model(**batch, mode='loss')
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        assert loss.isfinite()
    for n, p in model.named_parameters():
        assert p.grad.any() if p.requires_grad else p.grad is None, n
