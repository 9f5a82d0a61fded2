"""Oracles of the operators, and the devices that they are held against."""

import math
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor
from torch.utils.cpp_extension import include_paths, library_paths

import dff.ops  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / 'projects/dff/ops/csrc'
SHIM = Path(__file__).parent / 'cuda_host_shim'


@pytest.fixture(autouse=True)
def _two_threads():
    """Run the kernels as more than one thread runs them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@dataclass
class Backend:
    """The operators of one library on one device, called with CPU tensors."""

    library: Any
    device: str

    def run(self, name: str, *args: Any) -> Any:
        moved = [x.to(self.device) if isinstance(x, Tensor) else x for x in args]
        result = getattr(self.library, name)(*moved)
        if isinstance(result, Tensor):
            return result.cpu()
        return tuple(x.cpu() for x in result)

    def warp(self, feat, flow, scale=None) -> Tensor:
        return self.run('feature_warp', feat, flow, scale)

    def warp_grads(self, grad, feat, flow, scale=None, needed=(True, True, True)):
        return self.run('feature_warp_backward', grad, feat, flow, scale, list(needed))

    def pool(self, feat, rois, output_size, spatial_scale) -> Tensor:
        return self.run('ps_roi_pool', feat, rois, output_size, spatial_scale)

    def pool_grad(self, grad, rois, shape, spatial_scale) -> Tensor:
        return self.run('ps_roi_pool_backward', grad, rois, shape, spatial_scale)


def build_shim(compiler: str, library: Path) -> None:
    """Compile the shim unless the library is newer than its sources."""
    files = [p for folder in (SHIM, CSRC) for p in folder.rglob('*') if p.is_file()]
    newest = max(p.stat().st_mtime for p in [*files, Path(torch.__file__)])
    if library.exists() and library.stat().st_mtime >= newest:
        return
    part = library.with_suffix('.tmp')
    command = [compiler, '-x', 'c++', str(SHIM / 'shim.cpp'), '-o', str(part)]
    command += '-O1 -g0 -std=c++17 -fPIC -shared -fvisibility=hidden'.split()
    command += [f'-I{SHIM}', f'-I{CSRC}']
    for folder in [*include_paths(), sysconfig.get_path('include')]:
        command += ['-isystem', folder]
    command += [f'-L{folder}' for folder in library_paths()]
    command += ['-lc10', '-ltorch_cpu', '-ltorch_python']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    part.replace(library)


@pytest.fixture(scope='session')
def host_shim() -> Any:
    """The CUDA kernels, compiled for the CPU with launches turned into loops."""
    compiler = shutil.which('g++') or shutil.which('c++')
    if compiler is None:
        pytest.skip('no C++ compiler to build the host shim with')
    library = ROOT / 'build/tests/cuda_host_shim.so'
    library.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(library.with_suffix('.lock')):  # tests may run in several processes
        build_shim(compiler, library)
    torch.ops.load_library(library)
    return torch.ops.dff_host_shim


@pytest.fixture(
    params=['cpu', 'host_shim', pytest.param('cuda', marks=pytest.mark.gpu)]
)
def backend(request) -> Backend:
    if request.param == 'host_shim':
        return Backend(request.getfixturevalue('host_shim'), 'cpu')
    if request.param == 'cuda' and not torch.cuda.is_available():
        pytest.skip('no CUDA device')
    return Backend(torch.ops.dff, request.param)


def slope(distance: float) -> float:
    """Derivative of max(0, 1 - |q - p|) by p, where distance = q - p."""
    return math.copysign(1, distance) if 0 < abs(distance) < 1 else 0


class WarpOracle:
    """Eq. 1 to 4 as printed: sums over all q of the map; fractional flow."""

    @staticmethod
    def run(feat, flow, scale=None, grad=None):
        """Return the value, and the gradients of (feat, flow, scale) if asked."""
        feat, flow = feat.double().numpy(), flow.double().numpy()
        scale = np.ones(feat.shape) if scale is None else scale.double().numpy()
        grad = np.zeros(feat.shape) if grad is None else grad.double().numpy()
        images, _, height, width = feat.shape
        value = np.zeros(feat.shape)
        d_feat, d_flow = np.zeros(feat.shape), np.zeros(flow.shape)
        for n, y, x in np.ndindex(images, height, width):
            at_x, at_y = x + flow[n, 0, y, x], y + flow[n, 1, y, x]
            pulled = grad[n, :, y, x] * scale[n, :, y, x]
            for q_y, q_x in np.ndindex(height, width):
                g_x = max(0, 1 - abs(q_x - at_x))
                g_y = max(0, 1 - abs(q_y - at_y))
                if g_x * g_y == 0:
                    continue
                pixel = feat[n, :, q_y, q_x]
                value[n, :, y, x] += g_x * g_y * pixel
                d_feat[n, :, q_y, q_x] += g_x * g_y * pulled
                d_flow[n, 0, y, x] += slope(q_x - at_x) * g_y * (pixel @ pulled)
                d_flow[n, 1, y, x] += slope(q_y - at_y) * g_x * (pixel @ pulled)
        grads = [torch.from_numpy(x) for x in (d_feat, d_flow, grad * value)]
        return torch.from_numpy(value * scale), grads


@pytest.fixture
def warp_oracle():
    return WarpOracle.run


def round_half_away(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def pool_loops(feat, rois, bins, spatial_scale, grad=None):
    """R-FCN's pooling from its definition: the value, and the gradient of feat."""
    feat = feat.double().numpy()
    rois = rois.double().numpy()
    _, channels, height, width = feat.shape
    depth = channels // bins**2
    value = np.zeros((len(rois), depth, bins, bins))
    grad = np.zeros(value.shape) if grad is None else grad.double().numpy()
    d_feat = np.zeros(feat.shape)

    def borders(first, last, index, size):
        start = round_half_away(first) * spatial_scale
        extent = max((round_half_away(last) + 1) * spatial_scale - start, 0.1)
        low = math.floor(start + index * extent / bins)
        high = math.ceil(start + (index + 1) * extent / bins)
        return min(max(low, 0), size), min(max(high, 0), size)

    for r, d, row, column in np.ndindex(value.shape):
        n, x1, y1, x2, y2 = rois[r]
        left, right = borders(x1, x2, column, width)
        top, bottom = borders(y1, y2, row, height)
        area = (right - left) * (bottom - top)
        if right <= left or bottom <= top:
            continue
        channel = (d * bins + row) * bins + column
        for y in range(top, bottom):
            for x in range(left, right):
                value[r, d, row, column] += feat[int(n), channel, y, x] / area
                d_feat[int(n), channel, y, x] += grad[r, d, row, column] / area
    return torch.from_numpy(value), torch.from_numpy(d_feat)


@pytest.fixture
def pool_oracle():
    return pool_loops
