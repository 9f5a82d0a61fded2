"""Arguments, config and ranks, shared by the training and the test tool."""

import argparse
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from dff.models.key_frame import FixedKeyFrameScheduler

from .checkpoint_files import find_complete_checkpoint, is_complete
from .memory import keep_freed_memory


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that both tools of MMDetection have."""
    parser.add_argument('--work-dir', help='folder for logs, results and checkpoints')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='change the config: key=value, key="[a,b]" or key=a,b for lists',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='launcher that started the ranks; dist_*.sh and slurm_*.sh set it',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the shared options.

    Raises:
        FileNotFoundError: If the config does not exist.
    """
    if not os.path.isfile(args.config):
        raise FileNotFoundError(f'config {args.config} does not exist')
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner. Several ranks on CPUs communicate through gloo.

    Raises:
        ValueError: If the launcher needs CUDA devices, or :func:`check_cuts` fails.
    """
    if get_device() == 'cpu':
        keep_freed_memory()
        if cfg.launcher != 'none':
            _start_cpu_ranks(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    check_cuts(cfg, runner.model)
    return runner


def check_cuts(cfg: Config, model: nn.Module) -> None:
    """Check that samplers cut videos only at key frames of the model.

    Args:
        cfg: Config of the run, with ``val_dataloader`` and ``test_dataloader``.
        model: The model. It may be wrapped for several ranks.

    Raises:
        ValueError: If a ``VideoSampler`` has a ``key_interval`` that is no multiple of
            the model's interval, or the model has no fixed one.
    """
    model = model.module if is_model_wrapper(model) else model
    scheduler = getattr(model, 'key_frame_scheduler', None)
    for name in ('val_dataloader', 'test_dataloader'):
        wanted = ((cfg.get(name) or {}).get('sampler') or {}).get('key_interval')
        if wanted is None or scheduler is None:  # an image model may be cut anywhere
            continue
        is_fixed = isinstance(scheduler, FixedKeyFrameScheduler)
        if not is_fixed or wanted % scheduler.interval:
            raise ValueError(
                f'key_interval of the sampler of {name} must be a multiple of the '
                f"model's fixed key frame interval, got {wanted} and {scheduler!r}"
            )


def _start_cpu_ranks(cfg: Config) -> None:
    """Start the process group; mmengine would require CUDA devices for it.

    Raises:
        ValueError: If another launcher than torchrun started the ranks.
    """
    if cfg.launcher != 'pytorch':
        raise ValueError(
            f"launcher {cfg.launcher!r} needs CUDA; on CPUs use 'pytorch' "
            '(tools/dist_train.sh, tools/dist_test.sh)'
        )
    if not dist.is_initialized():
        dist.init_process_group('gloo')
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)
    count = 0
    for node in _dicts(cfg.model):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
            count += 1
    if count:
        print_log(f'{count} SyncBN layers of the config become BN on CPUs', 'current')


def enable_amp(cfg: Config) -> None:
    """Train in mixed precision.

    Raises:
        ValueError: If no CUDA device is available.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a CUDA device, but none is available')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def set_start(cfg: Config, resume: str | None) -> None:
    """Set the checkpoint that a training starts from.

    ``Pretrained`` weights that the checkpoint replaces are not downloaded: those of
    the image model with ``load_from``, those of the whole model on resuming.

    Args:
        cfg: Config of the run, changed in place.
        resume: Checkpoint to resume from, ``'auto'`` for the newest complete one in
            the work directory, or None to start anew or from ``load_from``.

    Raises:
        FileNotFoundError: If the checkpoint does not exist.
        ValueError: If the checkpoint is cut off.
    """
    if resume is not None:
        cfg.resume = True
        cfg.load_from = None if resume == 'auto' else resume
    if cfg.get('resume'):
        cfg.load_from = _find_resumed(cfg)
    if cfg.get('load_from') is None:
        parts = []
    elif cfg.get('resume'):
        parts = [cfg.model]
    else:
        parts = [cfg.model[k] for k in ('detector', 'segmentor') if k in cfg.model]
    for part in parts:
        drop_pretrained(part)


def _find_resumed(cfg: Config) -> str | None:
    """Return the checkpoint to resume from, or None if there is none yet."""
    path = cfg.get('load_from')
    if path is None:
        newest = find_complete_checkpoint(cfg.work_dir)
        print_log(
            f'resuming from {newest}'
            if newest
            else f'no complete checkpoint in {cfg.work_dir}: training from the start',
            'current',
        )
        return str(newest) if newest else None
    if '://' not in path:
        if not os.path.isfile(path):
            raise FileNotFoundError(f'checkpoint {path} does not exist')
        if not is_complete(path):
            raise ValueError(f'checkpoint {path} is cut off or not of torch.save')
    return path


def drop_pretrained(model: dict) -> None:
    """Remove the pretrained weights to load from a model config, in place."""
    for node in _dicts(model):
        if isinstance(node.get('pretrained'), str):
            node['pretrained'] = None
        init = node.get('init_cfg')
        if isinstance(init, list | tuple):
            node['init_cfg'] = [part for part in init if not _is_pretrained(part)]
        elif _is_pretrained(init):
            node['init_cfg'] = None


def _is_pretrained(init: Any) -> bool:
    kind = init.get('type') if isinstance(init, dict) else None
    return kind == 'Pretrained' or getattr(kind, '__name__', '') == 'PretrainedInit'


def _dicts(node: Any) -> Iterator[dict]:
    """Yield the dicts in a config at any depth, outer ones first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            yield from _dicts(child)


def run(action: Callable[[], Any]) -> Any:
    """Call `action`, then destroy the process group if there is one."""
    try:
        return action()
    finally:
        if dist.is_initialized():
            gc.collect()  # threads of objects that hold the group would abort after it
            dist.destroy_process_group()
