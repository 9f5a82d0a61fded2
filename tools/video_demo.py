"""Run a detector or segmentor on a video and write the video with boxes or labels.

Example:
    python tools/video_demo.py street.mp4 CONFIG CHECKPOINT --out boxes.mp4

Exit code 3 says that parts of the input could not be read; the output has the rest.
"""

import argparse
import sys
from itertools import islice
from statistics import median

from mmengine.config import DictAction
from mmengine.utils import ProgressBar

import dff  # noqa: F401  (registers the models)
from dff.apis import OneByOne, VideoInferencer, open_frames
from dff.engine.memory import keep_freed_memory
from dff.video import Damage
from dff.visualization import (
    VideoVisualizer,
    VideoWriter,
    flow_at_image_size,
    side_by_side,
)

DAMAGED = 3  # exit code
MOST_SHOWN = 20


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'input',
        help='video, image, folder of images, quoted glob pattern, stream address or '
        'camera index',
    )
    parser.add_argument('config', help='config file, or package::path')
    parser.add_argument(
        'checkpoint', help='checkpoint of this model or of the image model it wraps'
    )
    parser.add_argument('--out', required=True, help='.mp4 file, or folder for JPEGs')
    parser.add_argument(
        '--crf', type=int, default=20, help='quality of the .mp4, 0 to 51 (default: 20)'
    )
    parser.add_argument(
        '--strict',
        action='store_true',
        help='stop at the first frame that cannot be read; the output so far stays as '
        'OUT.partial',
    )
    parser.add_argument(
        '--reconnect',
        type=float,
        metavar='SECONDS',
        help='how long to try again when the connection to a stream address is lost',
    )
    parser.add_argument(
        '--interval', type=int, help='key frame interval l (default: from the config)'
    )
    parser.add_argument('--device', default='cpu', help='cpu (default), cuda:0, …')
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        help='draw boxes above this score (default: 0.3)',
    )
    parser.add_argument(
        '--opacity',
        type=float,
        default=0.5,
        help='opacity of label maps, 0 to 1 (default: 0.5)',
    )
    parser.add_argument(
        '--side-by-side',
        action='store_true',
        help='show Frame (the image model on each frame) on the left, DFF on the right',
    )
    parser.add_argument(
        '--show-flow', action='store_true', help='blend flow colours into the frames'
    )
    parser.add_argument('--max-frames', type=int, help='stop after this many frames')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='change the config: key=value',
    )
    return parser.parse_args(args)


def main(args: argparse.Namespace) -> int:
    """Run the model on all frames, write the video and print the time per frame.

    Returns:
        The exit code: 0, or 3 if a frame could not be read.
    """
    source = int(args.input) if args.input.isdigit() else args.input
    frames = open_frames(source, reconnect=args.reconnect)
    writer = VideoWriter(args.out, fps=frames.fps, crf=args.crf, sound=frames.sound)
    options = dict(device=args.device, cfg_options=args.cfg_options)
    inferencer = VideoInferencer(
        args.config, args.checkpoint, interval=args.interval, **options
    )
    beside = None
    if args.side_by_side:
        frame_model = VideoInferencer(
            args.config, args.checkpoint, interval=1, **options
        )
        beside = OneByOne(frame_model)
    visualizer = VideoVisualizer(
        inferencer.dataset_meta, score_thr=args.score_thr, opacity=args.opacity
    )
    times: dict[bool, list[float]] = {True: [], False: []}
    totals = [n for n in (frames.count, args.max_frames) if n is not None]
    progress = ProgressBar(min(totals, default=0))
    with writer:
        results = islice(inferencer.with_images(frames), args.max_frames)
        try:
            for image, sample in results:
                if args.strict and frames.damage:
                    print_damage(frames.damage)
                    raise SystemExit(DAMAGED)
                times[sample.is_key_frame].append(sample.inference_seconds)
                drawn = draw(image, sample, inferencer, visualizer, args)
                if beside is not None:
                    left = beside(image)
                    seconds = left.inference_seconds
                    left = visualizer.draw(
                        image, left, seconds=seconds, title='Frame', mark_key=False
                    )
                    drawn = side_by_side(left, drawn)
                writer.write(drawn, time=sample.metainfo.get('time'))
                progress.update()
            if args.strict and frames.damage:
                print_damage(frames.damage)
                raise SystemExit(DAMAGED)
        except KeyboardInterrupt:
            if frames.count is not None:
                raise
            # the user stops a camera or stream this way
    print_times(times)
    if frames.skipped:
        print(f'{frames.skipped} frames skipped to be up to date')
    print(f'{writer.count} frames written to {args.out}')
    print_damage(frames.damage)
    return DAMAGED if frames.damage else 0


def draw(image, sample, inferencer, visualizer, args):
    """Draw one frame; key frames have no flow."""
    flow = inferencer.flow if args.show_flow else None
    if flow is not None:
        flow = flow_at_image_size(
            flow,
            inferencer.flow_stride,
            img_shape=sample.img_shape,
            ori_shape=sample.ori_shape,
        )
    seconds = sample.inference_seconds
    title = 'DFF' if args.side_by_side else None
    return visualizer.draw(image, sample, flow=flow, seconds=seconds, title=title)


def print_times(times: dict[bool, list[float]]) -> None:
    """Print the median time per frame, without reading, drawing and writing."""
    print()
    for is_key, name in ((True, 'key frames'), (False, 'other frames')):
        if times[is_key]:
            ms = median(times[is_key]) * 1e3
            print(f'{name:12} {len(times[is_key]):5}, median {ms:7.1f} ms per frame')


def print_damage(damage: list[Damage]) -> None:
    """Print which frames could not be read, and when they are shown."""
    if damage:
        print(f'\n{len(damage)} places of the input are damaged:')
    for place in damage[:MOST_SHOWN]:
        print(f'  {place}')
    if len(damage) > MOST_SHOWN:
        print(f'  and {len(damage) - MOST_SHOWN} more')


if __name__ == '__main__':
    keep_freed_memory()
    sys.exit(main(parse_args()))
