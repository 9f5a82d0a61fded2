"""Count, time and test a model that is split at several layers (paper Tab. 5).

Examples:
    python tools/study/split_points.py configs/vid/dff_rfcn_r101_vid.py \
        --size 600x1000 --count-only --out OUT
    python tools/study/split_points.py configs/camvid/dff_fcn_mobilenetv2_camvid.py \
        --size 256x320 --splits 0 1 5 11 20 --weights 0=A.pth 1=B.pth --test --out OUT
    python tools/study/split_points.py configs/wrapped/dff_retinanet_r50_fpn_vid.py \
        --size 600x1000 --splits layer1 layer2 layer3 layer4 --out OUT
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction

import dff  # noqa: F401  (registers the models)
from dff.apis.dff_model import parse_size
from dff.engine.memory import keep_freed_memory
from dff.files import write_atomically, write_json
from dff_study.jobs.split_job import SplitJob, read_interval
from dff_study.jobs.split_points import Split, SplitSettings
from dff_study.jobs.steps import StepError
from dff_study.reports.split_table import find_paper, tabulate_splits

ROOT = Path(__file__).resolve().parents[2]


def parse_split(text: str) -> Split:
    """Read a number of layers, or the name of a stage."""
    return int(text) if text.lstrip('-').isdigit() else text


def parse_weights(text: str) -> tuple[Split | None, str]:
    """Read PATH, or SPLIT=PATH."""
    split, sign, path = text.partition('=')
    return (parse_split(split), path) if sign else (None, text)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of a DFF model')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument(
        '--splits',
        type=parse_split,
        nargs='+',
        help='numbers of layers in N_task (default: 0 1 5 12 21, or the next possible '
        'ones below), or names of the last stages of N_feat',
    )
    parser.add_argument('--size', type=parse_size, required=True, help='HxW')
    parser.add_argument('--interval', type=int, help="l (default: the config's)")
    parser.add_argument(
        '--repeats',
        type=int,
        default=5,
        help='timed rounds (default: 5); 0 times nothing',
    )
    parser.add_argument(
        '--weights',
        type=parse_weights,
        nargs='+',
        default=[],
        metavar='[SPLIT=]PATH',
        help='checkpoint of a split, or one for all others',
    )
    parser.add_argument(
        '--test',
        action='store_true',
        help='test the weights on the data of the config, at offsets 0 to l - 1',
    )
    parser.add_argument('--figure', help='accuracy to show, such as mIoU')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument(
        '--cpu-time',
        action='store_true',
        help='count CPU seconds, for a busy machine; uses one thread',
    )
    parser.add_argument(
        '--count-only',
        action='store_true',
        help='only count multiply-adds, for models of the form of the paper',
    )
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args()


def main() -> None:
    """Run the job; print and write the table."""
    args = parse_args()
    keep_freed_memory()
    settings = SplitSettings(
        size=args.size,
        interval=args.interval or read_interval(args.config),
        repeats=args.repeats,
        device=args.device,
        threads=1 if args.cpu_time else args.threads,
        is_cpu_time=args.cpu_time,
        is_counted_only=args.count_only,
    )
    job = SplitJob(
        ROOT,
        args.config,
        args.out,
        settings=settings,
        splits=args.splits,
        weights=dict(args.weights),
        is_tested=args.test,
        options=args.cfg_options,
    )
    try:
        rows = job.run()
    except StepError as error:
        sys.exit(f'\n{error}\nRun the same command again to continue from here.')
    paper = find_paper(Config.fromfile(args.config))
    table = tabulate_splits(rows, figure=args.figure, paper=paper)
    write_json(rows, args.out / 'splits.json')
    with write_atomically(args.out / 'splits.md') as temporary:
        temporary.write_text(table + '\n')
    print(table)
    print(f'\ntable: {args.out / "splits.md"}, figures: {args.out / "splits.json"}')


if __name__ == '__main__':
    main()
