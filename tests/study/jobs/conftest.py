"""Fixtures of models whose features can be computed by hand."""

from models_by_hand import dff_config, image_config  # noqa: F401
