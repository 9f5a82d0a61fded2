"""Frames of several streams as one batch."""

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch
from mmengine.structures import BaseDataElement

from dff.models.algorithm import Step
from dff.models.video_model import DFFVideoModel

from .stream import Stream, now


def step_streams(
    frames: Mapping[Stream, np.ndarray],
    *,
    frame_ids: Mapping[Stream, int] | None = None,
    spread_keys: bool = True,
) -> dict[Stream, BaseDataElement]:
    """Predict the next frame of several streams; see `VideoInferencer.step`."""
    models = {id(stream._model): stream._model for stream in frames}
    if len(models) > 1:
        names = [stream.name for stream in frames]
        raise ValueError(f'streams must be of one inferencer, got {names} of several')
    if not frames:
        return {}
    (model,) = models.values()
    ids = frame_ids or {}
    with ExitStack() as held, torch.no_grad():
        for stream in frames:
            held.enter_context(stream._turn())
        start = now(model)
        inputs = {
            stream: stream._prepare(image, frame_id=ids.get(stream))
            for stream, image in frames.items()
        }
        if spread_keys:
            _spread(list(frames))
        if isinstance(model, DFFVideoModel):
            steps = [
                Step(item, sample, stream.state, stream._background)
                for stream, (item, sample) in inputs.items()
            ]
            results = model.predict_steps(steps)
        else:
            results = [stream._predict(*pair) for stream, pair in inputs.items()]
        seconds = (now(model) - start) / len(results)
        for stream, result in zip(frames, results, strict=True):
            stream._finish(result, seconds=seconds)
    return dict(zip(frames, results, strict=True))


def _spread(streams: list[Stream]) -> None:
    """Shorten the first interval of the n-th stream by n frames, modulo l."""
    for n, stream in enumerate(streams):
        if stream.state.is_empty:
            stream.state.phase = n
