"""The README and the pages of docs: code, commands, links, paths and figures."""

import re
import shlex
import shutil
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

import dff  # noqa: F401  (registers the classes)
from dff.apis import VideoInferencer
from dff.engine import launch, testing

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
OWN_CONFIGS = (ROOT / 'docs/own_configs.md').read_text(encoding='utf-8')
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(ROOT.glob('docs/*.md'))]
# what pages leave out at the beginning of a path
SHORT_ROOTS = ('projects', 'projects/dff', 'projects/dff/ops', 'configs')

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
    """Make the folder that README and docs/own_configs.md describe."""
    shutil.copytree(make_vid_set((2, 2)), tmp_path / 'data/mine')
    for name in ('train', 'test'):
        shutil.copy(
            tmp_path / 'data/mine/vid.json', tmp_path / f'data/mine/{name}.json'
        )
    (tmp_path / 'my_detector.py').write_text(DETECTOR)
    monkeypatch.chdir(tmp_path)
    cfg = Config.fromfile('my_detector.py')
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(cfg.model)
    Path('work_dirs/my_detector').mkdir(parents=True)
    state = dict(state_dict=detector.state_dict(), meta={})
    torch.save(state, 'work_dirs/my_detector/epoch_12.pth')
    return tmp_path


def write_config(page):
    """Write my_dff.py as the page shows it."""
    code = re.search(r'```python\n# my_dff\.py\n(.*?)```', page, re.DOTALL).group(1)
    Path('my_dff.py').write_text(code)


def read_config():
    args = Namespace(
        config='my_dff.py',
        launcher='none',
        local_rank=0,
        cfg_options=None,
        work_dir='work_dirs/my_dff',
    )
    return launch.load_config(args)


def test_the_short_config_runs_with_the_detector_s_checkpoint(place):
    write_config(README)
    inferencer = VideoInferencer('my_dff.py', 'work_dirs/my_detector/epoch_12.pth')
    frames = [np.full((48, 64, 3), 20 * k, np.uint8) for k in range(11)]
    samples = list(inferencer(frames))
    assert [sample.is_key_frame for sample in samples] == [True, *[False] * 9, True]
    weights = torch.load('work_dirs/my_detector/epoch_12.pth')['state_dict']
    state = inferencer.model.detector.state_dict()
    assert all(torch.equal(state[name], value) for name, value in weights.items())


def test_the_wrapped_detector_trains_and_is_tested(place):
    write_config(OWN_CONFIGS)
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


def commands(page):
    blocks = re.findall(r'```bash\n(.*?)```', page, re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.mark.parametrize(
    'path',
    [path for path in PAGES if '```bash' in path.read_text(encoding='utf-8')],
    ids=lambda path: path.name,
)
def test_every_option_exists(path):
    lines = commands(path.read_text(encoding='utf-8'))
    for line in lines:
        scripts = [word for word in line if re.match(r'tools/.*\.(py|sh)$', word)]
        if not scripts:
            continue
        script = ROOT / scripts[0].replace('dist_', '').replace('slurm_', '')
        sources = [script.with_suffix('.py'), ROOT / 'projects/dff/engine/launch.py']
        text = ''.join(p.read_text() for p in sources if p.exists())
        options = [word for word in line if word.startswith('--')]
        names = [re.split('[= ]', option)[0] for option in options]
        assert [name for name in names if f"'{name}'" not in text] == [], line


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_every_path_exists(path):
    """Paths that begin with a folder of this repository; `...` and `*` are patterns."""
    text = path.read_text(encoding='utf-8')
    names = re.findall(
        r'(?<![\w/.])(?:tools|configs|projects|tests|requirements)/[\w./*…-]*\w', text
    )
    missing = [name for name in names if not list(ROOT.glob(name.replace('…', '*')))]
    assert missing == []
    if path.name == 'README.md':
        assert len(names) >= 5


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_every_short_path_exists(path):
    """Code such as `engine/memory.py` or `vid/dff_rfcn_r101_vid.py`, below a root."""
    text = path.read_text(encoding='utf-8')
    names = re.findall(r'`([\w-]+/[\w./…*-]+\.(?:py|h|cpp|cu|yaml))`', text)
    roots = [ROOT, *(ROOT / root for root in SHORT_ROOTS)]
    missing = [
        name
        for name in names
        if not any(list(root.glob(name.replace('…', '*'))) for root in roots)
    ]
    assert missing == []


def anchors(page):
    """Return the anchors that GitHub makes of a page's headings."""
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    heads = re.findall(r'^#+ (.*)$', text, re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', head.lower()) for head in heads)
    return {head.replace(' ', '-') for head in plain}


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path):
    links = re.findall(r'\]\(([^)#]*)(?:#([^)]*))?\)', path.read_text(encoding='utf-8'))
    for name, anchor in links:
        if '://' in name:
            continue
        target = path.parent / name if name else path
        assert target.exists(), name
        if anchor:
            assert anchor in anchors(target), f'{name}#{anchor}'


def cells(text):
    """Return the figures in the cells of all tables; a cell may hold several."""
    rows = (line for line in text.splitlines() if line.startswith('|'))
    whole = [cell for row in rows for cell in row.strip('|').split('|')]
    return [part.strip() for cell in whole for part in re.split(', | / ', cell)]


def test_the_figures_are_those_of_the_results_page():
    """Each row holds cells of the sections of docs/results.md that it links to."""
    page = (ROOT / 'docs/results.md').read_text(encoding='utf-8')
    sections = re.split(r'^## ', page, flags=re.MULTILINE)[1:]
    by_anchor = {
        re.sub(r'[^\w\- ]', '', s.split('\n')[0].lower()).replace(' ', '-'): s
        for s in sections
    }
    table = README.split('## Results')[1].split('\n## ')[0]
    rows = [line for line in table.splitlines() if line.startswith('| [')]
    assert len(rows) >= 6
    for row in rows:
        names = re.findall(r'docs/results\.md#([\w-]+)', row)
        known = cells('\n'.join(by_anchor[name] for name in names))
        figures = [cell.strip() for cell in row.strip('|').split('|')[1:]]
        figures = [figure for figure in figures if figure]
        assert figures
        assert [figure for figure in figures if figure not in known] == [], row


def test_pins_are_those_of_the_constraints():
    constraints = (ROOT / 'requirements/constraints.txt').read_text()
    pins = dict(line.split('==') for line in constraints.split() if '==' in line)
    section = README.split('## Versions')[1].split('##')[0]
    names = dict(mmsegmentation='mmsegmentation', mmdet='mmdet', mmcv='mmcv')
    for name in (*names, 'torch', 'mmengine'):
        assert re.search(rf'\b{name} {re.escape(pins[name])}\b', section), name


def test_readme_is_short():
    assert len(README.splitlines()) <= 150
