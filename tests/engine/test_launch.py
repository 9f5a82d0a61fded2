import argparse
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from dff.engine import launch, testing


def arguments(config, *options):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    launch.add_arguments(parser)
    return parser.parse_args([str(config), *options])


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'toy.py'
    path.write_text("model = dict(type='Toy', depth=1)\n")
    return path


def test_options_change_the_config(config, monkeypatch):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    cfg = launch.load_config(arguments(config, '--cfg-options', 'model.depth=3'))
    assert cfg.model.depth == 3
    assert (cfg.work_dir, cfg.launcher) == ('work_dirs/toy', 'none')
    cfg = launch.load_config(arguments(config, '--work-dir', 'here'))
    assert cfg.work_dir == 'here'


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'config .*no\.py does not exist'):
        launch.load_config(arguments(tmp_path / 'no.py'))
    with pytest.raises(FileNotFoundError, match=r'checkpoint .*no\.pth does not exist'):
        testing.set_checkpoint(Config(), str(tmp_path / 'no.pth'))


def test_out_must_be_a_pickle():
    with pytest.raises(ValueError, match=r'--out must be a .pkl file, got r\.json'):
        testing.build_runner(Config(), out='r.json')


def test_amp_without_a_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='--amp needs a CUDA device'):
        launch.enable_amp(Config())


def test_slurm_without_a_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match="'slurm' needs CUDA"):
        launch.build_runner(Config(dict(launcher='slurm')))


def wrapped(**extra):
    """Config of a video model whose parts all want to fetch weights."""
    fetch = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    model = dict(
        detector=dict(
            type='Detector',
            backbone=dict(type='ResNet', init_cfg=dict(fetch)),
            neck=dict(init_cfg=[dict(type='Xavier', layer='Conv2d'), dict(fetch)]),
            pretrained='open-mmlab://resnet50_v1c',
        ),
        propagation=dict(flow_estimator=dict(type='FlowNetS', init_cfg=dict(fetch))),
    )
    return Config(dict(model=model, **extra))


def test_load_from_fills_the_image_model_without_fetching(tmp_path):
    cfg = wrapped(load_from='frame.pth')
    launch.set_start(cfg, None)
    detector = cfg.model.detector
    assert detector.backbone.init_cfg is None and detector.pretrained is None
    assert detector.neck.init_cfg == [dict(type='Xavier', layer='Conv2d')]
    assert cfg.model.propagation.flow_estimator.init_cfg.type == 'Pretrained'


def test_a_start_from_nothing_keeps_the_pretrained_weights(tmp_path):
    for resume in (None, 'auto'):  # nothing to resume from yet
        cfg = wrapped(work_dir=str(tmp_path))
        launch.set_start(cfg, resume)
        assert cfg.model == wrapped().model
        assert cfg.get('load_from') is None
        assert bool(cfg.get('resume')) == (resume == 'auto')


def test_resuming_fetches_nothing(tmp_path):
    cfg, path = wrapped(work_dir=str(tmp_path)), tmp_path / 'some.pth'
    torch.save({}, path)
    launch.set_start(cfg, str(path))
    assert cfg.resume and cfg.load_from == str(path)
    assert cfg.model.propagation.flow_estimator.init_cfg is None
    torch.save({}, tmp_path / 'iter_1.pth')
    (tmp_path / 'last_checkpoint').write_text('iter_1.pth')
    cfg = wrapped(work_dir=str(tmp_path))
    launch.set_start(cfg, 'auto')
    assert cfg.model.detector.backbone.init_cfg is None
    assert cfg.model.propagation.flow_estimator.init_cfg is None


def test_stock_models_keep_what_load_from_may_not_hold():
    fetch = dict(type='Pretrained', checkpoint='torchvision://resnet50')
    cfg = Config(dict(model=dict(backbone=dict(init_cfg=fetch)), load_from='a.pth'))
    launch.set_start(cfg, None)
    assert cfg.model.backbone.init_cfg == fetch


def test_drawing_keeps_the_score_threshold():
    hooks = dict(visualization=dict(type='DetVisualizationHook', score_thr=0.7))
    cfg = Config(dict(default_hooks=hooks, default_scope='mmseg'))
    testing.draw_frames(cfg, 'frames', show=False, wait_time=1)
    assert cfg.default_hooks.visualization == dict(
        type='VideoVisualizationHook', draw=True, out_dir='frames', show=False,
        wait_time=1, score_thr=0.7,
    )  # fmt: skip
    assert cfg.visualizer.type == 'SegLocalVisualizer'


def test_a_model_that_is_filled_in_part_is_not_tested():
    from types import SimpleNamespace

    from dff.engine import CompleteCheckpointHook

    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    hook, runner = CompleteCheckpointHook(), SimpleNamespace(model=model)
    state = model.state_dict()
    hook.after_load_checkpoint(runner, dict(state_dict=state))
    prefixed = {f'module.{k}': v for k, v in state.items()}
    hook.after_load_checkpoint(runner, dict(state_dict=dict(prefixed, extra=1)))
    del state['1.bias']
    with pytest.raises(ValueError, match=r'3 of 4 keys match. Missing: 1\.bias'):
        hook.after_load_checkpoint(runner, dict(state_dict=state))


def thread_names():
    return [path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')]


def test_no_thread_outlives_the_process_group(tmp_path):
    """One that did would end some runs with an abort at the interpreter's end."""

    def action():
        torch.distributed.init_process_group(
            'gloo', init_method=f'file://{tmp_path / "store"}', rank=0, world_size=1
        )
        model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
        model.itself = [model]  # as a runner and its hooks hold each other
        assert 'pt_gloo_runloop' in thread_names()

    launch.run(action)
    assert 'pt_gloo_runloop' not in thread_names()
