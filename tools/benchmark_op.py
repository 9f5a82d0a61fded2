"""Time `feature_warp` or `ps_roi_pool` and equivalent functions of other libraries.

The warp is compared with grid_sample x scale and with the product alone, the pooling
with torchvision's. One process runs all of them in turn in every round and compares
them by the median of the ratios within a round, so a busy machine slows all of them
equally. On CUDA the tool also prints the memory bandwidth of the warp and of a copy.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import ps_roi_pool as pool

from dff.ops import feature_warp, ps_roi_pool

LAYOUTS = {'planar': torch.contiguous_format, 'last': torch.channels_last}
TYPES = {
    'float32': torch.float32,
    'float64': torch.float64,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
}
PRODUCT = 'feat * scale'
OPS = 'feature_warp', 'ps_roi_pool'
CLASSES, BINS, STRIDE, ROIS = 31, 7, 16, 300  # of the pooling (paper Sec. 4)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add('--op', choices=OPS, default=OPS[0], help='operator to time')
    add('--sizes', nargs='+', default=['38x63', '64x128'], help='sizes of the map, HxW')
    add('--channels', type=int, default=1024, help='of the warp')
    add('--batch', type=int, default=1, help='batch size')
    add('--device', default='cpu', help='cpu or cuda')
    add('--dtype', choices=TYPES, default='float32', help='type of the features')
    layouts = 'planar: channels first in memory; last: channels last'
    add('--layout', choices=LAYOUTS, default='planar', help=layouts)
    flows = (
        'smooth: moving regions, like the output of a flow network; '
        'random: independent at every pixel, the worst case for caches'
    )
    add('--flow', choices=('smooth', 'random'), default='smooth', help=flows)
    add('--threads', type=int, default=2, help='CPU threads')
    add('--rounds', type=int, default=21, help='rounds to time')
    return parser.parse_args()


def make_inputs(args: argparse.Namespace, size: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return feat, flow (a few pixels long) and scale, all with requires_grad."""
    h, w = (int(x) for x in size.split('x'))
    torch.manual_seed(0)
    shape = args.batch, args.channels, h, w
    dtype, layout = TYPES[args.dtype], LAYOUTS[args.layout]
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    coarse = 1 if args.flow == 'random' else 8
    flow = 3 * torch.randn(args.batch, 2, -(-h // coarse), -(-w // coarse))
    flow = F.interpolate(flow, (h, w), mode='bilinear', align_corners=False)
    feat, scale = torch.randn(2, *shape)
    feat, scale = (
        x.to(args.device, dtype).contiguous(memory_format=layout) for x in (feat, scale)
    )
    inputs = feat, flow.to(args.device, exact), scale
    return tuple(x.requires_grad_() for x in inputs)


def warp_by_grid_sample(feat: Tensor, flow: Tensor, scale: Tensor) -> Tensor:
    """Compute the result of the op with functions of torch."""
    h, w = feat.shape[-2:]
    x = torch.arange(w, device=feat.device) + flow[:, 0]
    y = torch.arange(h, device=feat.device)[:, None] + flow[:, 1]
    grid = torch.stack([2 * x / (w - 1) - 1, 2 * y / (h - 1) - 1], -1).to(feat.dtype)
    return F.grid_sample(feat, grid, align_corners=True) * scale


def measure(calls: dict[str, Callable], rounds: int, device: str) -> dict[str, list]:
    """Return the milliseconds of every call in every round, after a warm-up round."""
    times = {name: [] for name in calls}
    for i in range(rounds + 1):
        for name, call in calls.items():
            if device == 'cpu':
                start = time.perf_counter()
                call()
                elapsed = 1e3 * (time.perf_counter() - start)
            else:
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                call()
                end.record()
                end.synchronize()
                elapsed = begin.elapsed_time(end)
            if i > 0:
                times[name].append(elapsed)
        print(f'  round {i} of {rounds}', end='\r', flush=True)
    return times


def median_ratio(times: dict[str, list], name: str, base: str) -> float:
    """Return the median over the rounds of time(name) / time(base)."""
    pairs = zip(times[name], times[base], strict=True)
    return statistics.median(a / b for a, b in pairs)


def report(title: str, times: dict[str, list], moved: dict[str, int] | None) -> None:
    """Print one line per call; `moved` has the bytes each call moves, or is None."""
    op, has_product = next(iter(times)), PRODUCT in times
    print(f'{title:<36}{"ms":>9}{"of op":>9}'
          + (f'{"of product":>12}' if has_product else '')
          + (f'{"GB/s":>9}' if moved else ''))  # fmt: skip
    for name in times:
        ms = statistics.median(times[name])
        line = f'  {name:<34}{ms:9.3f}{median_ratio(times, name, op):8.2f}x'
        if has_product:
            line += f'{median_ratio(times, name, PRODUCT):11.2f}x'
        if moved and name in moved:
            line += f'{moved[name] / ms / 1e6:9.0f}'
        print(line)


def with_backward(call: Callable, inputs: list[Tensor], grad: Tensor) -> Callable:
    """Return a call that also computes the gradients of the inputs."""
    return lambda: torch.autograd.grad(call(), inputs, grad)


def run_pool(args: argparse.Namespace, size: str) -> None:
    """Print both tables of the pooling on one map size."""
    h, w = (int(x) for x in size.split('x'))
    torch.manual_seed(0)
    feat = torch.randn(args.batch, CLASSES * BINS**2, h, w)
    feat = feat.to(args.device, TYPES[args.dtype], memory_format=LAYOUTS[args.layout])
    feat.requires_grad_()
    sides = torch.tensor([w, h]) * STRIDE
    corners = torch.rand(ROIS, 2) * sides * 0.7
    ends = corners + 20 + torch.rand(ROIS, 2) * sides * 0.3
    rois = [torch.arange(ROIS)[:, None] % args.batch, corners, ends]
    rois = torch.cat(rois, dim=1).to(args.device)  # (R, 5)
    calls = {
        'ps_roi_pool': lambda: ps_roi_pool(feat, rois, BINS, 1 / STRIDE),
        'torchvision.ops.ps_roi_pool': lambda: pool(feat, rois, BINS, 1 / STRIDE),
    }
    grad = torch.randn_like(calls['ps_roi_pool']())
    backward = {name: with_backward(f, [feat], grad) for name, f in calls.items()}
    with torch.no_grad():
        times = measure(calls, args.rounds, args.device)
    report(f'{tuple(feat.shape)}, {ROIS} RoIs, forward', times, None)
    report('forward + backward', measure(backward, args.rounds, args.device), None)


def run_warp(args: argparse.Namespace, size: str) -> None:
    """Print the forward and the forward + backward table of one map size."""
    feat, flow, scale = inputs = make_inputs(args, size)
    calls = {
        'feature_warp': lambda: feature_warp(feat, flow, scale),
        'grid_sample x scale': lambda: warp_by_grid_sample(feat, flow, scale),
        PRODUCT: lambda: feat * scale,
    }
    grad = torch.randn_like(feat)
    backward = {name: with_backward(f, inputs, grad) for name, f in calls.items()}
    backward[PRODUCT] = with_backward(calls[PRODUCT], [feat, scale], grad)
    map_bytes = feat.numel() * feat.element_size()
    moved = None
    if args.device != 'cpu':
        target = torch.empty_like(feat)
        calls['copy of feat'] = lambda: target.copy_(feat)
        flow_bytes = flow.numel() * flow.element_size()
        moved = {
            'feature_warp': 3 * map_bytes + flow_bytes,
            PRODUCT: 3 * map_bytes,
            'copy of feat': 2 * map_bytes,
        }
    with torch.no_grad():
        times = measure(calls, args.rounds, args.device)
    report(f'{tuple(feat.shape)} forward', times, moved)
    times = measure(backward, args.rounds, args.device)
    report(f'{tuple(feat.shape)} forward + backward', times, None)


def main() -> None:
    """Print the tables of every size."""
    args = parse_args()
    if args.device != 'cpu' and not torch.cuda.is_available():
        raise SystemExit('benchmark_op: no CUDA device is available')
    torch.set_num_threads(args.threads)
    print(
        f'{args.device}, {args.dtype}, {args.layout}, {args.flow} flow, '
        f'{args.threads} threads, {torch.backends.cpu.get_cpu_capability()}, '
        f'torch {torch.__version__}; medians of {args.rounds} interleaved rounds'
    )
    for size in args.sizes:
        (run_warp if args.op == 'feature_warp' else run_pool)(args, size)


if __name__ == '__main__':
    main()
