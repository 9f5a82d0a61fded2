"""Own data: the check, and the walk from a video with boxes to a video with boxes."""

import json
import re
import shlex
import sys

import cv2
import numpy as np
import pytest
from commands import ROOT, call, call_tool
from mmengine.registry import DefaultScope

from dff.checks.det_check import check_det_set

PAGE = (ROOT / 'docs/own_data.md').read_text(encoding='utf-8')
FRAMES, SIDE = 24, 24
CONFIG = """
custom_imports = dict(imports=['dff'], allow_failed_imports=False)
default_scope = 'mmdet'
train_dataloader = dict(dataset=dict(
    type='VideoPairDataset',
    dataset=dict(type='CocoVIDDataset', data_root=ROOT, ann_file='vid.json'),
    pipeline=[dict(type='LoadImageFromFile'),
              dict(type='LoadAnnotations', with_bbox=True),
              dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]))
"""


@pytest.fixture
def shop(tmp_path):
    """A square that moves by 3 and 1 pixels a frame, and the configs of the page."""
    raw = tmp_path / 'raw/shop'
    (raw / 'gt').mkdir(parents=True)
    code = cv2.VideoWriter_fourcc(*'mp4v')
    writer = cv2.VideoWriter(str(raw / 'shop.mp4'), code, 10, (128, 96))
    lines = []
    for frame in range(FRAMES):
        image = np.full((96, 128, 3), 60, np.uint8)
        x, y = 4 + 3 * frame, 20 + frame
        image[y : y + SIDE, x : x + SIDE] = (40, 200, 240)
        writer.write(image)
        lines.append(f'{frame + 1},1,{x + 1},{y + 1},{SIDE},{SIDE},1')
    writer.release()
    (raw / 'gt/gt.txt').write_text('\n'.join(lines) + '\n')
    for name in ('tools', 'projects'):
        (tmp_path / name).symlink_to(ROOT / name)
    configs = re.findall(r'```python\n# (shop_\w+\.py)\n(.*?)```', PAGE, re.S)
    for name, text in configs:
        (tmp_path / name).write_text(text)
    return tmp_path


def run_page(folder):
    """Run the commands of the page, with few frames and iterations."""
    section = PAGE[PAGE.index('# From a folder') : PAGE.index('# Detection')]
    blocks = re.findall(r'```bash\n(.*?)```', section, re.S)
    short = ['--cfg-options', 'train_cfg.max_iters=2', 'param_scheduler=None',
             'train_dataloader.num_workers=0', 'val_dataloader.num_workers=0',
             'train_dataloader.persistent_workers=False',
             'val_dataloader.persistent_workers=False']  # fmt: skip
    shown = {}
    for line in ''.join(blocks).splitlines():
        for long, small in (('0-399', '0-15'), ('400-499', '16-23'), ('1200', '2')):
            line = line.replace(long, small)
        python, tool, *args = shlex.split(line)
        assert python == 'python'
        if tool == 'tools/train.py':
            start = 'load_from=work_dirs/shop_frame/iter_2.pth'
            args += [*short, start] if 'dff' in args[0] else short
        if tool == 'tools/video_demo.py':
            args += ['--score-thr', '0']
        shown[tool, args[0]] = call_tool(tool, *args, cwd=folder)
    return shown


def test_the_walk_through_works_as_it_stands_there(shop):
    shown = run_page(shop)
    found = shown['tools/check_data.py', 'shop_dff.py']
    assert 'no problems found' in found
    assert f'median motion {10**0.5:.1f} pixels a frame' in found
    left = [(SIDE - 3 * n) * (SIDE - n) for n in range(1, 6)]
    ious = [area / (2 * SIDE**2 - area) for area in left]
    assert f'      5  median {ious[4]:.2f}' in found
    lasting = 1 + sum(iou >= 0.5 for iou in ious)
    assert ious[-1] < 0.5
    assert f'suggested interval (rule of thumb): l = {lasting} or less' in found
    sheet = cv2.imread(str(shop / 'pairs.png'))
    assert sheet.shape[0] > 10 * 192 and sheet.shape[1] > 3 * 256
    assert 'vid/AP50' in shown['tools/test.py', 'shop_dff.py']
    before = cv2.VideoCapture(str(shop / 'raw/shop/shop.mp4'))
    after = cv2.VideoCapture(str(shop / 'shop_boxes.mp4'))
    assert after.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    for _ in range(FRAMES):
        one, other = before.read()[1], after.read()[1]
        changed = np.abs(one.astype(int) - other).max(axis=2) > 40
        assert changed[24:].mean() > 0.01  # boxes, below the caption


def update(name, place, **fields):
    return lambda content: content[name][place].update(**fields)


BAD = {
    'boxes of no image': update('annotations', 2, image_id=99),
    'boxes of unknown classes': update('annotations', 2, category_id=4),
    'boxes with less than one pixel': update('annotations', 2, bbox=[900, 0, 9, 9]),
    'image ids that come twice': update('images', 2, id=1),
    'frames that come twice': update('images', 2, frame_id=1),
    'videos that are not there': update('images', 2, video_id=9),
    'frames of another size': update('images', 2, width=65),
    'images that cannot be read': update('images', 2, file_name='no.png'),
    'records with wrong fields': update('annotations', 2, bbox=[1, 2, None, 4]),
}


@pytest.mark.parametrize('kind', BAD)
def test_each_problem_is_named_by_its_line(make_vid_set, kind):
    root = make_vid_set((5,))
    path = root / 'vid.json'
    content = json.loads(path.read_text())
    for place, box in enumerate(content['annotations']):
        box['instance_id'] = place
    BAD[kind](content)
    path.write_text(json.dumps(content, indent=1))
    pairs = dict(dataset=dict(data_root=str(root), ann_file='vid.json'))
    with DefaultScope.overwrite_default_scope('mmdet'):
        report = check_det_set(pairs, 'train')
    (found,) = [k for k in report.problems if k.startswith(kind)]
    (line,) = {text.split(':')[1] for text in report.problems[found]}
    assert report.problems[found][0].startswith(f'{path}:')
    # the third record of its list begins there
    lines = path.read_text().splitlines()
    name = 'annotations' if kind.startswith(('boxes', 'records')) else 'images'
    first = next(n for n, text in enumerate(lines, start=1) if f'"{name}": [' in text)
    starts = [n for n, text in enumerate(lines, start=1) if text == '  {' and n > first]
    assert int(line) == starts[2]


def test_a_track_twice_in_a_frame(make_vid_set):
    root = make_vid_set((2,))
    content = json.loads((root / 'vid.json').read_text())
    for box in content['annotations']:
        box['instance_id'] = 1
    (root / 'vid.json').write_text(json.dumps(content))
    pairs = dict(dataset=dict(data_root=str(root), ann_file='vid.json'))
    assert list(check_det_set(pairs, 'train').problems) == ['tracks twice in a frame']


def test_a_clean_set_and_damaged_files(make_vid_set, tmp_path):
    root = make_vid_set((5,))
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.replace('ROOT', repr(str(root))))
    tool = ROOT / 'tools/check_data.py'
    args = (config, '--sheet', tmp_path / 'a.png', '--pairs', '2')
    out = call(sys.executable, tool, *args)
    assert 'no problems found' in out and (tmp_path / 'a.png').is_file()
    frame = root / 'video_0/000002.png'
    frame.write_bytes(frame.read_bytes()[:-60])  # OpenCV reads it without a word
    out = call_tool(tool, *args, is_ok=False)
    assert 'WRONG: images that cannot be read (1)' in out and '000002.png' in out
    (root / 'vid.json').write_text('{"images": [\n{"id": 1,\n')
    out = call_tool(tool, *args, is_ok=False)
    assert f'{root / "vid.json"}:3: ' in out
    out = call_tool(tool, tmp_path / 'no.py', is_ok=False)
    assert 'no.py does not exist' in out
