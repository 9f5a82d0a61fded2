"""Changes that the test tool makes to a config."""

import os

from mmengine.config import Config
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner

from . import launch
from .complete_checkpoint_hook import CompleteCheckpointHook
from .key_frame_hook import KeyFrameHook

VISUALIZERS = dict(mmdet='DetLocalVisualizer', mmseg='SegLocalVisualizer')
NO_CHECKPOINT = 'none'  # for models without weights


def set_checkpoint(cfg: Config, checkpoint: str) -> None:
    """Set the checkpoint to test.

    Args:
        cfg: Config of the run, changed in place.
        checkpoint: A path, an address that mmengine can load, or ``'none'`` for a
            model without weights.

    Raises:
        FileNotFoundError: If the file does not exist.
    """
    if checkpoint == NO_CHECKPOINT:
        cfg.load_from, cfg.resume = None, False
        return
    if '://' not in checkpoint and not os.path.isfile(os.path.expanduser(checkpoint)):
        raise FileNotFoundError(f'checkpoint {checkpoint} does not exist')
    cfg.load_from = checkpoint
    cfg.resume = False


def draw_frames(
    cfg: Config, out_dir: str | None, *, show: bool = False, wait_time: float = 0
) -> None:
    """Make a test draw its predictions on every frame.

    Args:
        cfg: Config of the run, changed in place.
        out_dir: Folder for the images ``VIDEO/FRAME``, or None to write none.
        show: Whether to show the images in a window.
        wait_time: How long to show each image, in seconds.
    """
    hooks = dict(cfg.get('default_hooks') or {})
    stock = hooks.get('visualization') or {}
    options = {k: stock[k] for k in ('score_thr', 'backend_args') if k in stock}
    hooks['visualization'] = dict(
        type='VideoVisualizationHook',
        draw=True,
        out_dir=out_dir,
        show=show,
        wait_time=wait_time,
        **options,
    )
    cfg.default_hooks = hooks
    if cfg.get('visualizer') is None:
        scope = cfg.get('default_scope') or 'mmdet'
        cfg.visualizer = dict(type=VISUALIZERS[scope], name='visualizer')


def build_runner(cfg: Config, *, out: str | None = None) -> Runner:
    """Build a runner that checks that the checkpoint sets all weights.

    Args:
        cfg: Config of the run.
        out: ``.pkl`` file for the predictions, or None.

    Raises:
        ValueError: If ``out`` has another suffix, or the model has weights but the
            config names no checkpoint.
    """
    if out is not None and not out.endswith(('.pkl', '.pickle')):
        raise ValueError(f'--out must be a .pkl file, got {out}')
    runner = launch.build_runner(cfg)
    if cfg.get('load_from') is None and any(True for _ in runner.model.parameters()):
        raise ValueError(
            f'checkpoint {NO_CHECKPOINT!r} is for models without weights, but '
            f'{type(runner.model).__name__} has weights'
        )
    runner.register_hook(CompleteCheckpointHook())
    runner.register_hook(KeyFrameHook())
    if out is not None:
        runner.test_evaluator.metrics.append(_dump(cfg, out))
    return runner


def _dump(cfg: Config, out: str) -> DumpResults:
    if cfg.get('default_scope') == 'mmseg':
        return DumpResults(out_file_path=out)
    from mmdet.evaluation import DumpDetResults  # unlike DumpResults, encodes masks

    return DumpDetResults(out_file_path=out)
