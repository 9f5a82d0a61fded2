"""Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x."""

from . import checkpoint, datasets, engine, evaluation
from .mim import register_package

__all__ = ['__version__', 'checkpoint', 'datasets', 'engine', 'evaluation']
__version__ = '0.1.0'

checkpoint.register()
register_package()
