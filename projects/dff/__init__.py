"""Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x."""

from dff.mim import register_package

from . import checkpoint, datasets, engine, evaluation, models

__all__ = ['__version__', 'checkpoint', 'datasets', 'engine', 'evaluation', 'models']
__version__ = '0.1.0'

checkpoint.register()
register_package()
