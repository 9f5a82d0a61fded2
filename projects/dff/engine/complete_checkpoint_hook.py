"""Refuse to test a model that the checkpoint fills only in part."""

import re

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from dff.checkpoint import adapt_frame_state_dict, check_complete


@HOOKS.register_module()
class CompleteCheckpointHook(Hook):
    """Check that a checkpoint sets every weight of the model that is tested.

    mmengine only warns, and the weights that are left are random. Training may start
    from a part; a test may not.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare the keys.

        Raises:
            ValueError: If a weight is missing or of another shape; names them.
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
