"""Time a DFF model and the image model it wraps, and compare with Eq. (5) to (7).

Example:
    python tools/analysis/benchmark.py configs/vid/dff_rfcn_r101_vid.py \
        --size 600x1000 --random-weights
    python tools/analysis/benchmark.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --size 480x800 --random-weights --cfg-options model.split=last
    python tools/analysis/benchmark.py configs/mini/dff_rfcn_mobilenetv2_dis_pets.py \
        CHECKPOINT --size 240x320 --streams 1 4 16
"""

import argparse
import time
from pathlib import Path

import cv2
import mmcv
import torch
from mmengine.config import DictAction
from mmengine.runner import load_checkpoint
from mmengine.utils import ProgressBar
from torch import Tensor, nn

import dff
from dff.apis.dff_model import build_dff_model, parse_size
from dff.cost.benchmark import count_model, moving_frames, time_model
from dff.cost.benchmark_report import format_summary, summarise
from dff.cost.benchmark_streams import report_streams
from dff.engine import compile_flow
from dff.engine.memory import keep_freed_memory
from dff.files import write_json
from dff.models import AdaptiveKeyFrameScheduler

CPU_THREADS = 2


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'config', help='config of a DFF model, or of an image model to wrap'
    )
    parser.add_argument('checkpoint', nargs='?', help='checkpoint of the model')
    parser.add_argument(
        '--random-weights',
        action='store_true',
        help='use no checkpoint; post-processing then gets untrained scores',
    )
    parser.add_argument(
        '--size',
        type=parse_size,
        default=(600, 1000),
        help='size of the frames, HxW (default: 600x1000)',
    )
    parser.add_argument(
        '--interval',
        type=int,
        default=10,
        help='key frame interval l (default: 10)',
    )
    parser.add_argument(
        '--adaptive',
        type=int,
        metavar='FRAMES',
        help='choose key frames by AdaptiveKeyFrameScheduler, on this many frames',
    )
    parser.add_argument(
        '--repeats', type=int, default=5, help='rounds of l frames (default: 5)'
    )
    parser.add_argument('--video', help='video to time on, resized to --size')
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda:0, …')
    parser.add_argument(
        '--threads',
        type=int,
        default=CPU_THREADS,
        help='CPU threads (default: 2)',
    )
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='measure CPU time instead of wall time, for busy machines; needs 1 thread',
    )
    parser.add_argument(
        '--compile-flow', action='store_true', help='compile F and S with torch.compile'
    )
    parser.add_argument(
        '--streams',
        type=int,
        nargs='+',
        help='time these numbers of streams instead, one by one and as batches',
    )
    parser.add_argument(
        '--lags',
        type=int,
        nargs='+',
        help='time frames with keys in the background instead, at these lags',
    )
    parser.add_argument('--out', help='JSON file for the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='change the config: key=value',
    )
    args = parser.parse_args()
    if bool(args.checkpoint) == args.random_weights:
        parser.error('pass either a checkpoint or --random-weights')
    if args.interval < 2 or args.repeats < 1:
        parser.error('--interval must be >= 2 and --repeats >= 1')
    if args.cpu_time and (args.threads != 1 or args.device != 'cpu'):
        parser.error('--cpu-time needs --threads 1 and --device cpu')
    return args


def build_model(args: argparse.Namespace) -> nn.Module:
    """Build the model with a fixed interval; load the checkpoint if there is one."""
    model = build_dff_model(
        args.config, interval=args.interval, options=args.cfg_options, wraps=True
    )
    if args.checkpoint:
        load_checkpoint(model, args.checkpoint, map_location='cpu')
    return model.to(args.device)


def read_frames(args: argparse.Namespace) -> list[Tensor]:
    """Return the frames (3, H, W) of a round: one interval, or of --adaptive."""
    count = args.adaptive or args.interval
    height, width = args.size
    if args.video is None:
        return moving_frames(args.size, count)
    if not Path(args.video).is_file():
        raise FileNotFoundError(f'video {args.video} does not exist')
    images = mmcv.VideoReader(args.video)[:count]
    if len(images) < count or any(image is None for image in images):
        raise ValueError(f'{args.video} must have {count} readable frames')
    images = [mmcv.imresize(image, (width, height)) for image in images]
    return [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]


def main() -> None:
    """Count, time and report."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.streams or args.lags:
        cv2.setNumThreads(args.threads)
    if args.device == 'cpu':
        keep_freed_memory()
    model, frames = build_model(args), read_frames(args)
    if args.adaptive:
        model.key_frame_scheduler = AdaptiveKeyFrameScheduler(args.interval)
    if args.streams or args.lags:
        rounds, is_cpu = args.repeats, args.cpu_time
        options = dict(rounds=rounds, interval=args.interval, is_cpu_time=is_cpu)
        print(report_streams(model, frames, args.streams, args.lags, **options))
        return
    macs = count_model(model, frames[0])
    if args.compile_flow:
        compile_flow(model)
    progress = ProgressBar(args.repeats * len(frames))
    timings = time_model(
        model,
        frames,
        repeats=args.repeats,
        clock=time.process_time if args.cpu_time else time.perf_counter,
        on_frame=progress.update,
    )
    summary = summarise(timings, macs, args.interval)
    summary.update(
        config=args.config,
        split=model.split,
        checkpoint=args.checkpoint,
        size=args.size,
        repeats=args.repeats,
        device=args.device,
        threads=args.threads,
        is_cpu_time=args.cpu_time,
        is_flow_compiled=args.compile_flow,
        torch=torch.__version__,
        dff=dff.__version__,
    )
    print('\n' + format_summary(summary))
    if args.random_weights:
        print(
            'Random weights: N_task post-processes untrained scores '
            f'({summary["predictions_per_frame"]:.0f} predictions per frame).'
        )
    if args.out:
        write_json(summary, args.out)
        print(f'results written to {args.out}')


if __name__ == '__main__':
    main()
