"""Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x."""

from . import datasets, evaluation
from .mim import register_package

__all__ = ['__version__', 'datasets', 'evaluation']
__version__ = '0.1.0'

checkpoint.register()
register_package()
