"""Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x."""

from .mim import register_package

__version__ = '0.1.0'

register_package()
