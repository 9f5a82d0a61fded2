"""Keep weights, and so all maps, channels last."""

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store the weights of the model channels last before it runs.

    Convolutions then give maps of that layout too. Values stay the same but for
    rounding; depth-wise and dilated layers take about half the time on a CPU.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout in place; optimisers keep their parameters."""
        runner.model.to(memory_format=torch.channels_last)
