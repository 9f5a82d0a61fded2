"""Fixtures of models whose features can be computed by hand."""

from models_by_hand import (  # noqa: F401
    checkpoint,
    dff_config,
    features_by_hand,
    image_config,
    moving_video,
)
