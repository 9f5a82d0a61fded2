"""Compiled operators: feature warp, R-FCN's RoI pooling, labels of enlarged scores."""

# _C links to torch's libraries, which this import loads.
import torch  # noqa: F401

try:
    import dff.ops._C  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'the operators of dff are not built for this Python and torch ({error}). '
        'Build them in the root of the repository: '
        'python setup.py build_ext --inplace  (or, to install dff as well: '
        'pip install --no-build-isolation -e .)'
    ) from error

from .feature_warp import FeatureWarp, feature_warp
from .ps_roi_pool import ps_roi_pool
from .upsample_argmax import upsample_argmax

__all__ = ['FeatureWarp', 'feature_warp', 'ps_roi_pool', 'upsample_argmax']
