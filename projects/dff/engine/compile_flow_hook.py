"""Compile the flow network."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn


def compile_flow(model: nn.Module, **options: Any) -> None:
    """Compile F and S, most of what a propagated frame costs, with torch.compile.

    The first frame of each size then takes up to a minute. Flow and scale stay the
    same but for rounding.

    Args:
        model: DFF model, changed in place; perhaps wrapped for several ranks.
        options: Of ``torch.nn.Module.compile``, such as ``mode``.

    Raises:
        TypeError: If the model has no flow network.
    """
    model = model.module if is_model_wrapper(model) else model
    if not hasattr(model, 'propagation'):
        raise TypeError(
            'the model must be a DFF model, such as DFFVideoDetector, got '
            f'{type(model).__name__}'
        )
    model.propagation.flow_estimator.compile(**options)


@HOOKS.register_module()
class CompileFlowHook(Hook):
    """Compile the flow network before a run, see :func:`compile_flow`.

    Args:
        options: See there.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def before_run(self, runner: Runner) -> None:
        """Compile it."""
        compile_flow(runner.model, **self.options)
