"""Compile the flow network with torch.compile."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn


def compile_flow(model: nn.Module, **options: Any) -> None:
    """Compile the flow network, which is most of the cost of a propagated frame.

    The first frame of each size then takes up to a minute. Flow and scale differ only
    by rounding.

    Args:
        model: DFF model, changed in place. It may be wrapped for several ranks.
        options: Arguments of ``torch.nn.Module.compile``, such as ``mode``.

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
    """Call :func:`compile_flow` before a run.

    Args:
        options: Arguments of ``torch.nn.Module.compile``.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options

    def before_run(self, runner: Runner) -> None:
        """Compile the flow network of the runner's model."""
        compile_flow(runner.model, **self.options)
