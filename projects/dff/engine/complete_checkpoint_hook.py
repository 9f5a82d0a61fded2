"""Refuse to test a model with weights that the checkpoint does not set."""

import re

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from dff.checkpoint import adapt_frame_state_dict, check_complete


@HOOKS.register_module()
class CompleteCheckpointHook(Hook):
    """Check that the checkpoint sets every weight of the tested model.

    mmengine only warns, and leaves the other weights random. Training may start from
    part of the weights; a test may not.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the weights of the checkpoint with those of the model.

        Raises:
            ValueError: If a weight is missing or has another shape. The message names
                these weights.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state_dict = checkpoint.get('state_dict', checkpoint)
        state_dict = {re.sub(r'^module\.', '', k): v for k, v in state_dict.items()}
        for name in ('detector', 'segmentor'):
            if hasattr(model, name) and hasattr(model, 'propagation'):
                state_dict, _ = adapt_frame_state_dict(
                    state_dict, model, prefix=f'{name}.'
                )
        check_complete(state_dict, model)
