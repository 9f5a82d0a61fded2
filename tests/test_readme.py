"""What the README says works as it stands there."""

import re
import shlex
import shutil
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

import dff  # noqa: F401  (registers the classes)
from dff.engine import launch, testing

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')

DETECTOR = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'

model = dict(bbox_head=dict(num_classes=2))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 48), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 48), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(num_workers=0, persistent_workers=False)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1)
"""


@pytest.fixture
def place(tmp_path, make_vid_set, monkeypatch):
    """A folder as the README supposes it: detector, its checkpoint, own data."""
    shutil.copytree(make_vid_set((2, 2)), tmp_path / 'data/mine')
    for name in ('train', 'test'):
        shutil.copy(
            tmp_path / 'data/mine/vid.json', tmp_path / f'data/mine/{name}.json'
        )
    (tmp_path / 'my_detector.py').write_text(DETECTOR)
    code = re.search(r'```python\n# my_dff\.py\n(.*?)```', README, re.DOTALL).group(1)
    (tmp_path / 'my_dff.py').write_text(code)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile('my_detector.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(cfg.model)
    Path('work_dirs/my_detector').mkdir(parents=True)
    state = dict(state_dict=detector.state_dict(), meta={})
    torch.save(state, 'work_dirs/my_detector/epoch_12.pth')
    return tmp_path


def read_config():
    args = Namespace(
        config='my_dff.py',
        launcher='none',
        local_rank=0,
        cfg_options=None,
        work_dir='work_dirs/my_dff',
    )
    return launch.load_config(args)


def test_the_wrapped_detector_trains_and_is_tested(place):
    cfg = read_config()
    launch.set_start(cfg, None)
    launch.build_runner(cfg).train()
    checkpoint = 'work_dirs/my_dff/epoch_1.pth'
    cfg = read_config()
    testing.set_checkpoint(cfg, checkpoint)
    figures = testing.build_runner(cfg).test()
    assert 'coco/bbox_mAP_50' in figures
    trained = torch.load(checkpoint, weights_only=False)['state_dict']
    start = torch.load('work_dirs/my_detector/epoch_12.pth')['state_dict']
    moved = trained['detector.bbox_head.retina_cls.weight']
    apart = (moved - start['bbox_head.retina_cls.weight']).abs().max()
    assert 0 < apart < 0.1  # it began there, and learnt


def commands():
    blocks = re.findall(r'```bash\n(.*?)```', README, re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_every_tool_and_option_exists():
    tools = [
        word
        for line in commands()
        for word in line
        if re.match(r'(tools|configs)/', word)
    ]
    assert len(tools) >= 5
    assert [name for name in tools if not (ROOT / name).exists()] == []
    for line in commands():
        scripts = [word for word in line if word.startswith('tools/')]
        options = [word for word in line if word.startswith('--')]
        if scripts and scripts[0].endswith('.py'):
            text = (ROOT / scripts[0]).read_text()
            assert [option for option in options if f"'{option}'" not in text] == []


def test_every_link_leads_somewhere():
    for page in [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]:
        text = page.read_text(encoding='utf-8')
        links = re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', text)
        missing = [
            link
            for link in links
            if '://' not in link and not (page.parent / link).exists()
        ]
        assert missing == [], page.name


def test_pins_are_those_of_the_constraints():
    constraints = (ROOT / 'requirements/constraints.txt').read_text()
    pins = dict(line.split('==') for line in constraints.split() if '==' in line)
    section = README.split('## Pinned set')[1].split('##')[0]
    names = dict(mmsegmentation='mmsegmentation', mmdet='mmdet', mmcv='mmcv')
    for name in (*names, 'torch', 'mmengine'):
        assert re.search(rf'\b{name} {re.escape(pins[name])}\b', section), name
