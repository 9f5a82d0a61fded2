"""Compare time and memory of a training step of DFF with that of its image model.

Both train on N labelled frames per step: the image model on N frames, DFF on N pairs,
with N_feat on the key frame and N_task on the features propagated to the current
frame (paper Fig. 2b). So a step of DFF is a step of Frame plus F, S and W.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from tabulate import tabulate
from torch import Tensor, nn

from dff.apis.dff_model import build_dff_model
from dff.checks.inputs import make_sample

from .benchmark import Stopwatch, count_model, moving_frames
from .complexity import Complexity

OFFSET = 3  # i - k of the synthetic pairs
NAMES = {'frame': 'Frame', 'dff': 'DFF'}


@dataclass
class StepTimes:
    """Seconds of every round by model: forward pass, backward pass with optimiser."""

    forward: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in NAMES}
    )
    backward: dict[str, list[float]] = field(
        default_factory=lambda: {name: [] for name in NAMES}
    )

    def steps(self, name: str) -> list[float]:
        """Return the seconds of each whole step."""
        pairs = zip(self.forward[name], self.backward[name], strict=True)
        return [forward + backward for forward, backward in pairs]

    def ratios(self) -> list[float]:
        """Return the time of DFF's step relative to Frame's, for each round."""
        pairs = zip(self.steps('dff'), self.steps('frame'), strict=True)
        return [dff / frame for dff, frame in pairs]


class TrainingSteps:
    """Run training steps of a DFF model and of the image model that it wraps.

    Args:
        config: Config of a DFF model with its `optim_wrapper`.
        size: (H, W) of the images, padded as the preprocessor does.
        batch_size: N, labelled frames per step.
        device: Device of torch.
        options: Config options to set.

    Raises:
        ValueError: If the config has no optimiser, or holds no DFF model.
    """

    def __init__(
        self,
        config: str,
        *,
        size: tuple[int, int],
        batch_size: int,
        device: str = 'cpu',
        options: dict[str, Any] | None = None,
    ) -> None:
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(options or {})
        if 'optim_wrapper' not in cfg:
            raise ValueError(f'{config} must have an optim_wrapper')
        self.size, self.batch_size = size, batch_size
        dff = build_dff_model(config, options=options)
        # the same layers and initial weights, trained separately
        self.models: dict[str, nn.Module] = {
            'frame': copy.deepcopy(dff.image_model),
            'dff': dff,
        }
        hooks = [hook['type'] for hook in cfg.get('custom_hooks', ())]
        for model in self.models.values():
            model.to(device).train()
            if 'ChannelsLastHook' in hooks:
                model.to(memory_format=torch.channels_last)
        self.optimisers = {
            name: build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
            for name, model in self.models.items()
        }
        place = dict(video_id=0, frame_id=OFFSET, offset=OFFSET, is_same=False)
        self.sample = make_sample(dff, size, **place)
        self.device = torch.device(device)

    def count(self) -> Complexity:
        """Count the multiply-adds of the prediction of a frame of this size."""
        model = self.models['dff'].eval()
        try:
            return count_model(model, moving_frames(self.size, 1)[0])
        finally:
            model.train()

    def step(self, name: str, *, clock: Callable[[], float]) -> tuple[float, float]:
        """Run one training step.

        Args:
            name: 'frame' or 'dff'.
            clock: See `Stopwatch`.

        Returns:
            Seconds of pre-processing and forward pass, and of backward pass and
            optimiser.
        """
        model, optimiser = self.models[name], self.optimisers[name]
        data, watch = self._batch(name), Stopwatch(self.device, clock)

        def forward() -> Tensor:
            batch = model.data_preprocessor(data, True)
            losses = model(**batch, mode='loss')
            return model.parse_losses(losses)[0]

        with optimiser.optim_context(model):
            seconds, loss = watch.time(forward)
        return seconds, watch.time(lambda: optimiser.update_params(loss))[0]

    def _batch(self, name: str) -> dict[str, Any]:
        key, *_, cur = moving_frames(self.size, OFFSET + 1)
        samples = [copy.deepcopy(self.sample) for _ in range(self.batch_size)]
        inputs: Any = [cur] * self.batch_size
        if name == 'dff':
            inputs = dict(cur=inputs, key=[key] * self.batch_size)
        return dict(inputs=inputs, data_samples=samples)


def time_steps(
    steps: TrainingSteps,
    *,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
    on_step: Callable[[], None] = lambda: None,
) -> StepTimes:
    """Time steps of both models alternately, after one step of each to warm up.

    Args:
        steps: Steps of both models.
        repeats: Number of rounds.
        clock: See `Stopwatch`.
        on_step: Called after each step.
    """
    times = StepTimes()
    for index in range(repeats + 1):
        for name in NAMES:
            forward, backward = steps.step(name, clock=clock)
            if index:
                times.forward[name].append(forward)
                times.backward[name].append(backward)
            on_step()
    return times


def summarise_steps(
    times: StepTimes, macs: Complexity, memory: dict[str, float]
) -> dict[str, Any]:
    """Combine times, multiply-adds and memory of training steps.

    Args:
        times: Result of `time_steps`.
        macs: Multiply-adds of one frame.
        memory: Peak bytes of a process by 'frame' and 'dff'; may be empty.

    Returns:
        `milliseconds` of forward pass, backward pass and step by model (medians);
        `ratio`, the time of DFF's step relative to Frame's (median of `rounds`);
        `ratio_macs`, (N_feat + N_task + F + W) / (N_feat + N_task); `memory`.
    """
    milliseconds = {
        name: dict(
            forward=1e3 * median(times.forward[name]),
            backward=1e3 * median(times.backward[name]),
            step=1e3 * median(times.steps(name)),
        )
        for name in NAMES
    }
    return dict(
        milliseconds=milliseconds,
        ratio=median(times.ratios()),
        rounds=times.ratios(),
        ratio_macs=(macs.frame + macs.flow + macs.warp) / macs.frame,
        memory=memory,
    )


def tabulate_steps(rows: Sequence[dict[str, Any]]) -> str:
    """Format summaries, each with its `label`, as a Markdown table."""
    head = ['', 'Frame, ms', 'DFF, ms', 'forward', 'backward', 'step', 'MACs']
    head += ['Frame, MB', 'DFF, MB', 'memory']
    lines = []
    for row in rows:
        ms, memory = row['milliseconds'], row['memory']
        line = [row['label'], f'{ms["frame"]["step"]:.0f}', f'{ms["dff"]["step"]:.0f}']
        line += [
            f'{ms["dff"][part] / ms["frame"][part]:.2f}'
            for part in ('forward', 'backward')
        ]
        line += [f'{row["ratio"]:.2f}', f'{row["ratio_macs"]:.2f}']
        if memory:
            line += [f'{memory[name] / 1e6:.0f}' for name in NAMES]
            line.append(f'{memory["dff"] / memory["frame"]:.2f}')
        else:
            line += ['-'] * 3
        lines.append(line)
    return tabulate(lines, head, tablefmt='github', disable_numparse=True)
