"""The commands of docs/reproduce.md: their files, options and settings exist."""

import re
import shlex
from pathlib import Path

import pytest
from mmengine.config import Config, DictAction

import dff  # noqa: F401  (registers the classes)

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs/reproduce.md').read_text(encoding='utf-8')
# what passes its further options on
PASSES_TO = dict(
    dist_train='train', slurm_train='train', dist_test='test', slurm_test='test'
)


def commands():
    blocks = re.findall(r'```bash\n(.*?)```', PAGE, re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def settings(words):
    """Return the key=value words behind --cfg-options."""
    if '--cfg-options' not in words:
        return {}
    values = words[words.index('--cfg-options') + 1 :]
    pairs = (word.split('=', 1) for word in values if '=' in word)
    return {key: DictAction._parse_iterable(value) for key, value in pairs}


def leaf(cfg, path):
    """Follow a dotted path; a missing name is an error."""
    for name in path.split('.'):
        cfg = cfg[int(name)] if name.isdigit() else cfg[name]
    return cfg


def test_tools_configs_and_options_exist():
    found = commands()
    assert len(found) >= 12
    for words in found:
        files = [w for w in words if re.match(r'(tools|configs)/', w)]
        assert [name for name in files if not (ROOT / name).exists()] == []
        script = ROOT / files[0]
        target = PASSES_TO.get(script.stem)
        sources = [script if target is None else script.with_name(f'{target}.py')]
        sources.append(ROOT / 'projects/dff/engine/launch.py')
        text = ''.join(path.read_text() for path in sources)
        options = [word for word in words if word.startswith('--')]
        assert [option for option in options if f"'{option}'" not in text] == []


@pytest.mark.parametrize('words', [w for w in commands() if settings(w)])
def test_settings_change_what_the_config_has(words):
    path = next(word for word in words if word.startswith('configs/'))
    cfg, changed = Config.fromfile(ROOT / path), settings(words)
    for key in changed:
        if key != 'optim_wrapper.accumulative_counts':  # the default, 1, is not said
            leaf(cfg, key)
    before = cfg.to_dict()
    cfg.merge_from_dict(changed)
    assert all(leaf(cfg, key) == value for key, value in changed.items())
    passes = changed.get('optim_wrapper.accumulative_counts')
    if passes:  # as many samples, the rate lowered after as many
        gpus = int(next(w for w in words if w.isdigit()))
        assert passes * gpus == cfg.auto_scale_lr.base_batch_size
        assert cfg.train_cfg.max_iters == passes * before['train_cfg']['max_iters']
        assert cfg.train_cfg.val_interval == cfg.train_cfg.max_iters
        milestones = before['param_scheduler'][0]['milestones']
        assert cfg.param_scheduler[0].milestones == [passes * m for m in milestones]


def test_checkpoints_are_those_of_the_last_iteration():
    named = re.findall(r'work_dirs/(\w+)/iter_(\d+)\.pth', PAGE)
    assert len(named) >= 4
    for name, iteration in named:
        (path,) = ROOT.glob(f'configs/*/{name}.py')
        assert int(iteration) == Config.fromfile(path).train_cfg.max_iters
