"""Deep Feature Flow for MMDetection 3.x and MMSegmentation 1.x."""

from . import checkpoint, datasets, engine, evaluation, models
from .mim import register_package
from .models.wrap import wrap

__all__ = [
    '__version__',
    'checkpoint',
    'datasets',
    'engine',
    'evaluation',
    'models',
    'wrap',
]
__version__ = '0.1.0'

checkpoint.register()
register_package()
