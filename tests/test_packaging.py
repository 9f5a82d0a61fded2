"""The wheel works away from the repository, and the environment is the pinned one."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
CLASSES = ('circle', 'square', 'triangle')


def run(args, *, cwd, path=None, timeout=1200):
    """Run a command outside the repository; return its output, fail on an error."""
    env = {'FORCE_CUDA': str(int(torch.cuda.is_available())), **os.environ}
    env.update(OMP_NUM_THREADS='2', PYTHONPATH=str(path or ''))
    done = subprocess.run(
        [str(arg) for arg in args],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    """Build the wheel as the README says."""
    out = tmp_path_factory.mktemp('wheel')
    pip = [sys.executable, '-m', 'pip', 'wheel', ROOT, '-w', out]
    run([*pip, '--no-build-isolation', '--no-deps'], cwd=ROOT)
    (path,) = out.glob('dff-*.whl')
    return path


@pytest.fixture(scope='session')
def installed(wheel, tmp_path_factory):
    """Install the wheel into a folder of its own, as PYTHONPATH."""
    target = tmp_path_factory.mktemp('site')
    pip = [sys.executable, '-m', 'pip', 'install', '--no-deps', '--target', target]
    run([*pip, wheel], cwd=target)
    return target


def is_study(path):
    """Say whether a tool needs `dff_study`: those of tools/study, their old places."""
    names = {tool.name for tool in (ROOT / 'tools/study').glob('*.py')}
    assert 'quickstart.py' in names
    is_named = path.name in {*names, 'quickstart.sh'} or 'study' in path.parts
    return 'tools' in path.parts and is_named


@pytest.mark.slow
def test_wheel_holds_package_configs_tools_and_no_sources(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {
        f'dff/.mim/{path.relative_to(ROOT).as_posix()}'
        for part in ('configs', 'tools')
        for path in (ROOT / part).rglob('*')
        if path.is_file() and '__pycache__' not in path.parts and not is_study(path)
    }
    assert here | {'dff/.mim/model-index.yml', 'dff/__init__.py'} <= names
    assert any(re.fullmatch(r'dff/ops/_C\..*so', name) for name in names)
    assert not [name for name in names if name.endswith(('.cpp', '.cu', '.h'))]
    assert not [name for name in names if name.startswith(('tests', 'projects'))]


@pytest.mark.slow
def test_wheel_holds_nothing_of_the_study(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not [name for name in names if 'dff_study' in name]
    assert 'dff/.mim/tools/train.py' in names
    assert not [name for name in names if is_study(Path(name))]


@pytest.mark.slow
def test_installed_wheel_imports_and_its_operator_computes(installed, tmp_path):
    code = """
import torch
import dff
from dff.ops import feature_warp
feat = torch.arange(2 * 5 * 7.0).reshape(1, 2, 5, 7)
flow = torch.zeros(1, 2, 5, 7)
flow[:, 0], flow[:, 1] = 2, -1
want = torch.zeros_like(feat)
want[..., 1:, :-2] = feat[..., :-1, 2:]
assert torch.equal(feature_warp(feat, flow), want)
print(dff.__file__)
"""
    out = run([sys.executable, '-c', code], cwd=tmp_path, path=installed)
    assert Path(out.split('\n')[-2]).is_relative_to(installed)


@pytest.mark.slow
def test_installed_config_is_inherited_from_elsewhere(installed, tmp_path):
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'dff::vid/dff_rfcn_r101_vid.py'\n"
        'model = dict(key_frame_scheduler=dict(interval=3))\n'
    )
    code = """
import dff
from mmdet.registry import MODELS
from mmengine.config import Config
config = Config.fromfile('mine.py')
model = MODELS.build(config.model)
assert type(model).__name__ == 'DFFVideoDetector'
assert model.key_frame_scheduler.interval == 3
print('built', config.filename)
"""
    out = run([sys.executable, '-c', code], cwd=tmp_path, path=installed)
    assert 'built' in out


def make_videos(folder):
    """Write two videos of three frames, a bright square moving right, as CocoVID."""
    content = dict(
        videos=[dict(id=1, name='a'), dict(id=2, name='b')],
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(CLASSES)],
        images=[],
        annotations=[],
    )
    for video in content['videos']:
        (folder / 'frames' / video['name']).mkdir(parents=True)
        for frame in range(3):
            image = np.full((96, 128, 3), 40, np.uint8)
            x = 16 + 8 * frame
            image[24:56, x : x + 32] = 220
            name = f'{video["name"]}/{frame:06d}.png'
            cv2.imwrite(str(folder / 'frames' / name), image)
            number = len(content['images']) + 1
            shape = dict(height=96, width=128, video_id=video['id'], frame_id=frame)
            content['images'].append(dict(id=number, file_name=name, **shape))
            box = dict(bbox=[x, 24, 32, 32], area=1024, iscrowd=0, instance_id=1)
            content['annotations'].append(
                dict(id=number, image_id=number, category_id=2, **box)
            )
    (folder / 'annotations').mkdir()
    for part in ('train', 'test'):
        (folder / f'annotations/{part}.json').write_text(json.dumps(content))


TINY_CONFIG = """
_base_ = 'dff::mini/dff_rfcn_r18_synthetic.py'

loader = dict(num_workers=0, persistent_workers=False)
loader['dataset'] = dict(dataset=dict(data_root={root!r}))
train_dataloader = val_dataloader = test_dataloader = loader
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = []
model = dict(
    detector=dict(backbone=dict(init_cfg=None)),
    propagation=dict(flow_estimator=dict(init_cfg=None)),
)
load_from = None
"""


@pytest.mark.slow
def test_mim_trains_and_tests_the_installed_package(installed, tmp_path):
    make_videos(tmp_path / 'videos')
    config = TINY_CONFIG.format(root=str(tmp_path / 'videos'))
    (tmp_path / 'mine.py').write_text(config)
    mim = Path(sys.executable).with_name('mim')
    common = ['dff', 'mine.py', '--work-dir', 'out']
    out = run([mim, 'train', *common], cwd=tmp_path, path=installed)
    assert f'{installed}/dff/.mim/tools/train.py' in out.replace('\n', '')
    assert 'Training finished successfully' in out
    checkpoint = ['--checkpoint', 'out/iter_2.pth']
    out = run([mim, 'test', *common, *checkpoint], cwd=tmp_path, path=installed)
    assert 'Testing finished successfully' in out


@pytest.mark.slow
@pytest.mark.parametrize('command', ['train', 'test'])
def test_mim_wants_the_package_name_not_its_path(installed, tmp_path, command):
    mim = Path(sys.executable).with_name('mim')
    with pytest.raises(AssertionError, match='projects/dff'):
        run(
            [mim, command, 'projects/dff', 'mine.py', '-y'],
            cwd=tmp_path,
            path=installed,
        )


def test_setup_says_what_to_do_without_torch(tmp_path):
    (tmp_path / 'torch.py').write_text("raise ImportError('no torch')\n")
    with pytest.raises(AssertionError) as caught:
        run([sys.executable, 'setup.py', '--version'], cwd=ROOT, path=tmp_path)
    message = ' '.join(str(caught.value).split())
    assert 'bash tools/setup_env.sh' in message
    assert 'pip wheel . --no-build-isolation --no-deps' in message


def read_pins():
    """Return {canonical name: version} of the constraints file."""
    pins = {}
    text = (ROOT / 'requirements/constraints.txt').read_text(encoding='utf-8')
    for line in text.splitlines():
        if line and not line.startswith('#'):
            name, version = line.split('==')
            pins[canonical(name)] = version
    return pins


def test_every_tool_that_checks_style_has_one_version():
    pins = read_pins()
    hooks = (ROOT / '.pre-commit-config.yaml').read_text(encoding='utf-8')
    hooked = dict(re.findall(r'\[([\w-]+)==([\w.]+)\]', hooks))
    assert hooked == {name: pins[name] for name in ('ruff', 'clang-format')}
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))
    assert settings['tool']['ruff']['required-version'] == f'=={pins["ruff"]}'


def canonical(name):
    return re.sub(r'[-_.]+', '-', name).lower()


def closure(names):
    """Return the canonical names of the packages and all that they require here."""
    seen, queue = set(), [Requirement(name) for name in names]
    while queue:
        requirement = queue.pop()
        key = (canonical(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        if key[0] == 'opencv-python':  # never installed, see the constraints file
            continue
        for text in importlib.metadata.requires(key[0]) or []:
            child = Requirement(text)
            extras = [{'extra': extra} for extra in (*requirement.extras, '')]
            if not child.marker or any(map(child.marker.evaluate, extras)):
                queue.append(child)
    return {name for name, _ in seen}


def test_every_package_is_pinned_to_the_installed_version():
    lines = []
    for name in ('runtime', 'tests', 'video', 'mminstall'):
        text = (ROOT / f'requirements/{name}.txt').read_text(encoding='utf-8')
        lines += [line.split('#')[0].strip() for line in text.splitlines()]
    pins = read_pins()
    needed = closure([line for line in lines if line])
    assert needed - pins.keys() == set()
    installed = {
        name: importlib.metadata.version(name).split('+')[0]
        for name in needed - {'opencv-python'}
    }
    assert installed == {name: pins[name] for name in installed}


def test_only_the_headless_opencv_owns_cv2(tmp_path):
    owners = importlib.metadata.packages_distributions()['cv2']
    assert set(owners) == {'opencv-python-headless'}
    maps = "import cv2; print(open('/proc/self/maps').read())"
    loaded = run([sys.executable, '-c', maps], cwd=tmp_path)
    assert 'cv2' in loaded
    assert 'libGL' not in loaded
