"""Small trainings on one and on two gloo ranks, apart so that a rank can import it."""

import json
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from processes import spawn_two

from dff.checks.build import build_to_check
from dff.checks.inputs import make_pairs
from dff.engine import launch

ROOT = Path(__file__).resolve().parents[2]
SIZE = (64, 96)
STEPS = 3
SEGMENTOR = ROOT / 'configs/mini/dff_fcn_r18_synthetic.py'
DETECTOR = ROOT / 'configs/mini/dff_rfcn_r18_synthetic.py'


def train(model, data):
    """Do some steps; give the losses and every 997th weight."""
    optimiser = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    losses = [
        model.train_step(data, optimiser)['loss'].detach().item() for _ in range(STEPS)
    ]
    weights = [p.detach().flatten() for p in model.parameters() if p.requires_grad]
    return losses, torch.cat(weights)[::997].tolist()


def work(rank, config, is_same, folder):
    """Train on one of the pairs as one of two ranks."""
    torch.set_num_threads(1)
    store = (folder / 'store').as_uri()
    dist.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
    found = launch.run(lambda: train_rank(rank, config, is_same))
    (folder / f'{rank}.json').write_text(json.dumps(found))


def train_rank(rank, config, is_same):
    """Give the losses and some weights of one rank."""
    model = build_to_check(config, size=SIZE)
    data = make_pairs(model, SIZE, is_same)
    inputs = {name: [images[rank]] for name, images in data['inputs'].items()}
    part = dict(inputs=inputs, data_samples=[data['data_samples'][rank]])
    torch.manual_seed(rank)  # for what samples boxes
    found = train(MMDistributedDataParallel(model, broadcast_buffers=False), part)
    dist.barrier()
    return found


def on_two_ranks(config, is_same, folder):
    """Give (losses, weights) of both ranks; a rank that hangs is an error."""
    spawn_two(work, config, is_same, folder)
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in (0, 1)]
