"""Threads, instruction sets, copies and sizes of the CPU kernels."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from dff.ops import feature_warp, ps_roi_pool

CODE = """
import sys, torch
from dff.ops import feature_warp
torch.set_num_threads(1)
feat, flow, scale, grad = torch.load(sys.argv[1])
results = []
for layout in (torch.contiguous_format, torch.channels_last):
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
        exact = torch.float64 if dtype == torch.float64 else torch.float32
        args = [feat.to(dtype, memory_format=layout), flow.to(exact), scale.to(dtype)]
        args = [x.requires_grad_() for x in args]
        out = feature_warp(*args)
        results += [out.detach(), *torch.autograd.grad(out, args, grad.to(dtype))]
torch.save([torch.backends.cpu.get_cpu_capability(), results], sys.argv[2])
"""


MEMORY = Path('/proc/meminfo')


def thread_seconds():
    """CPU time of every thread of this process, by thread id."""
    seconds = {}
    for task in Path('/proc/self/task').iterdir():
        fields = (task / 'stat').read_text().rpartition(')')[2].split()
        ticks = int(fields[11]) + int(fields[12])  # user and system time
        seconds[task.name] = ticks / os.sysconf('SC_CLK_TCK')
    return seconds


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='needs /proc')
@pytest.mark.parametrize('name', ['forward', 'forward, channels-last', 'backward'])
def test_two_threads_work_on_one_image(name):
    feat, grad = torch.randn(2, 1, 256, 38, 63)
    flow = torch.randn(1, 2, 38, 63)
    if 'last' in name:
        feat = feat.contiguous(memory_format=torch.channels_last)
    call = {
        'backward': lambda: torch.ops.dff.feature_warp_backward(
            grad, feat, flow, feat, [True] * 3
        )
    }.get(name, lambda: feature_warp(feat, flow, feat))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    before = thread_seconds()
    rounds = 0
    while rounds < 2000:
        call()
        rounds += 1
        after = thread_seconds()
        spent = {tid: after[tid] - before.get(tid, 0) for tid in after}
        mine = str(threading.get_native_id())
        if spent[mine] >= 0.5:
            break
    torch.set_num_threads(threads)
    others = max(seconds for tid, seconds in spent.items() if tid != mine)
    assert others >= 0.5 * spent[mine], spent


def test_result_does_not_depend_on_threads():
    feat, scale, grad = torch.randn(3, 2, 130, 9, 11)
    flow = 3 * torch.randn(2, 2, 9, 11)
    results = []
    threads = torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        grads = torch.ops.dff.feature_warp_backward(grad, feat, flow, scale, [True] * 3)
        results.append([feature_warp(feat, flow, scale), *grads])
    torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_instruction_sets_agree(tmp_path):
    torch.manual_seed(0)
    feat, scale, grad = torch.randn(3, 2, 37, 5, 7)
    torch.save([feat, 2 * torch.randn(2, 2, 5, 7), scale, grad], tmp_path / 'in.pt')
    results = {}
    for wanted in ('default', 'avx2', 'avx512'):
        out = tmp_path / f'{wanted}.pt'
        subprocess.run(
            [sys.executable, '-c', CODE, tmp_path / 'in.pt', out],
            env={**os.environ, 'ATEN_CPU_CAPABILITY': wanted},
            check=True,
        )
        capability, results[wanted] = torch.load(out)
        print(wanted, 'ran as', capability)
    for name in ('avx2', 'avx512'):
        for got, plain in zip(results[name], results['default'], strict=True):
            step = torch.finfo(got.dtype).eps
            torch.testing.assert_close(got, plain, rtol=4 * step, atol=40 * step)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_no_hidden_copy(layout):
    feat, scale, grad = (
        torch.randn(2, 32, 9, 11).contiguous(memory_format=layout) for _ in range(3)
    )
    flow = torch.randn(2, 2, 9, 11).contiguous(memory_format=layout)
    with profile(activities=[ProfilerActivity.CPU]) as events:
        feature_warp(feat, flow, scale)
        torch.ops.dff.feature_warp_backward(grad, feat, flow, scale, [True] * 3)
        ps_roi_pool(feat, torch.tensor([[0, 0.0, 0, 8, 8]]), 2, 1.0)
    names = {event.name for event in events.events()}
    assert 'dff::feature_warp' in names
    assert not names & {'aten::copy_', 'aten::clone', 'aten::_to_copy'}


@pytest.mark.slow
@pytest.mark.skipif(not MEMORY.exists(), reason='needs /proc')
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_more_than_two_to_the_31_elements(layout):
    shape = 1, 36000, 250, 240  # 2.16e9 elements, 4.3 GB
    available = int(re.search(r'MemAvailable: +(\d+)', MEMORY.read_text())[1]) / 1e6
    if available < 14:
        pytest.skip(f'needs 14 GB of memory, {available:.0f} GB are available')
    feat = torch.zeros(shape, dtype=torch.bfloat16).contiguous(memory_format=layout)
    feat[0, -1] = torch.arange(240).to(torch.bfloat16)
    flow = torch.zeros(1, 2, 250, 240)
    flow[:, 0] = 2
    result = feature_warp(feat, flow)
    assert torch.equal(result[0, -1, :, :-2], feat[0, -1, :, 2:])
    assert (result[0, -1, :, -2:] == 0).all() and (result[0, -2] == 0).all()
