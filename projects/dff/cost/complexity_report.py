"""Tables of the cost of a DFF model, and of Tab. 2 of the paper beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import torch
from mmengine.registry import MODELS
from terminaltables import AsciiTable
from torch import nn

from .benchmark import make_data, moving_frames, preprocess
from .complexity import (
    Complexity,
    count_macs,
    measure_complexity,
    part_parameters,
    predicted_speedup,
)

LABELS = dict(n_feat='N_feat', flow='F + S', warp='W (not in r)', n_task='N_task')
FLOW_NETWORKS = {
    'FlowNet': dict(type='FlowNetS'),
    'FlowNet Half': dict(type='FlowNetS', width=0.5),
    'FlowNet Inception': dict(type='FlowNetInception'),
}
# paper Tab. 2: 1 / r of Eq. (6), by the depth of N_feat's ResNet
PAPER_TABLE2 = {
    'FlowNet': {50: 9.20, 101: 12.71},
    'FlowNet Half': {50: 33.56, 101: 46.30},
    'FlowNet Inception': {50: 68.97, 101: 95.24},
}


def describe_model(
    model: nn.Module, size: Sequence[int], intervals: Sequence[int]
) -> dict[str, Any]:
    """Count a DFF model's parts at one size and predict its speed-up.

    Args:
        model: DFF model in eval mode.
        size: (H, W) of the image before pre-processing.
        intervals: Values of l to predict the speed-up for.

    Returns:
        `size`, and `input_size` after pre-processing; `macs` and `parameters` per
        part; `ratio` and `speedup` (by l), each with `eq6` (without N_task) and `eq5`
        (with it).
    """
    (frame,) = moving_frames((size[0], size[1]), 1)
    image, sample = preprocess(model, make_data(model, frame, 0))
    macs = measure_complexity(model, image, sample)
    return dict(
        size=list(size),
        input_size=list(image.shape[-2:]),
        macs=asdict(macs),
        parameters=part_parameters(model, image),
        **_predict(macs, intervals),
    )


def _predict(macs: Complexity, intervals: Sequence[int]) -> dict[str, Any]:
    ratio = dict(eq6=macs.ratio(with_task=False), eq5=macs.ratio())
    speedup = {
        interval: {eq: predicted_speedup(r, interval) for eq, r in ratio.items()}
        for interval in intervals
    }
    return dict(ratio=ratio, speedup=speedup)


def format_model(name: str, figures: Mapping[str, Any]) -> str:
    """Format the figures of `describe_model` as a title and two tables."""
    size, padded = ('x'.join(map(str, figures[k])) for k in ('size', 'input_size'))
    title = f'{name}, {size}' + (f' (padded to {padded})' if padded != size else '')
    rows = [['part', 'M parameters', 'Gmac']]
    for part, label in LABELS.items():
        count = figures['parameters'].get(part)
        millions = '' if count is None else f'{count / 1e6:.2f}'
        rows.append([label, millions, f'{figures["macs"][part] / 1e9:.3f}'])
    parts = AsciiTable(rows, 'Parts').table
    rows = [['', 'Eq. (6), without N_task', 'Eq. (5), with N_task']]
    for label, values in (
        ('r', figures['ratio']),
        ('1 / r', {eq: _inverse(r) for eq, r in figures['ratio'].items()}),
    ):
        rows.append([label, f'{values["eq6"]:.4f}', f'{values["eq5"]:.4f}'])
    for interval, values in figures['speedup'].items():
        cells = [f'{values[eq]:.2f}x' for eq in ('eq6', 'eq5')]
        rows.append([f'Eq. (7), l = {interval}', *cells])
    speedups = AsciiTable(rows, 'Predicted speed-up').table
    return '\n'.join([title, parts, speedups])


def _inverse(ratio: float) -> float:
    return 1 / ratio if ratio else float('inf')


def describe_table2(
    models: Mapping[int, nn.Module], size: Sequence[int], intervals: Sequence[int]
) -> dict[str, Any]:
    """Count the cost of each flow network of the paper with each feature network.

    Args:
        models: The paper's DFF detector by the depth of its ResNet, in eval mode,
            with any flow network.
        size: (H, W) of the image.
        intervals: Values of l to predict the speed-up for.

    Returns:
        `size`, `intervals`; `feature_networks`, the results of `describe_model` by
        depth; `flow_networks` by name: `macs`, `parameters`, and `by_depth`, each with
        `inverse_ratio` (1 / r of Eq. 6), `paper`, and `ratio` and `speedup` as in
        `describe_model`.
    """
    bases = {depth: describe_model(m, size, ()) for depth, m in models.items()}
    networks = {}
    for name, config in FLOW_NETWORKS.items():
        network = MODELS.build(config).eval()
        frame = torch.zeros(1, 3, *size)
        macs, _ = count_macs(partial(network, frame, frame))
        parameters = sum(p.numel() for p in network.parameters())
        by_depth = {}
        for depth, base in bases.items():
            cost = replace(Complexity(**base['macs']), flow=macs)
            by_depth[depth] = dict(
                inverse_ratio=1 / cost.ratio(with_task=False),
                paper=PAPER_TABLE2[name][depth],
                **_predict(cost, intervals),
            )
        networks[name] = dict(macs=macs, parameters=parameters, by_depth=by_depth)
    return dict(
        size=list(size),
        intervals=list(intervals),
        feature_networks=bases,
        flow_networks=networks,
    )


def format_table2(figures: Mapping[str, Any]) -> str:
    """Format the figures of `describe_table2` as three tables."""
    size = 'x'.join(map(str, figures['size']))
    bases, networks = figures['feature_networks'], figures['flow_networks']
    rows = [['detector', 'N_feat, M parameters', 'Gmac', 'N_task, Gmac']]
    for depth, base in bases.items():
        cells = [base['parameters']['n_feat'] / 1e6, base['macs']['n_feat'] / 1e9]
        cells = [f'{cell:.2f}' for cell in (*cells, base['macs']['n_task'] / 1e9)]
        rows.append([f'R-FCN, ResNet-{depth}', *cells])
    tables = [AsciiTable(rows, f'Feature networks, {size}').table]
    header = ['F + S', 'M parameters', 'Gmac']
    for depth in bases:
        header += [f'1/r, R-{depth}', 'paper', 'off']
    rows = [header]
    for name, network in networks.items():
        row = [name, f'{network["parameters"] / 1e6:.2f}']
        row.append(f'{network["macs"] / 1e9:.3f}')
        for depth in bases:
            figure = network['by_depth'][depth]
            ours, paper = figure['inverse_ratio'], figure['paper']
            row += [f'{ours:.2f}', f'{paper:.2f}', f'{100 * (ours / paper - 1):+.2f} %']
        rows.append(row)
    tables.append(AsciiTable(rows, f'Table 2: 1/r of Eq. (6), {size}').table)
    header = ['l', 'F + S']
    for depth in bases:
        header += [f'R-{depth}, Eq. (6)', f'R-{depth}, Eq. (5)']
    rows = [header]
    for interval in figures['intervals']:
        for name, network in networks.items():
            speedups = [network['by_depth'][d]['speedup'][interval] for d in bases]
            cells = [f'{s[eq]:.2f}x' for s in speedups for eq in ('eq6', 'eq5')]
            rows.append([str(interval), name, *cells])
    tables.append(AsciiTable(rows, 'Speed-up of Eq. (7)').table)
    return '\n'.join(tables)
