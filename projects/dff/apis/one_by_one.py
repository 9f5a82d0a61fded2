"""The former name of streams."""

from .inferencer import VideoInferencer
from .stream import Stream


def OneByOne(inferencer: VideoInferencer) -> Stream:
    """Open a stream in which a frame of another size starts a new key frame.

    It was a class before there were streams; see `VideoInferencer.open_stream`.

    >>> predict = OneByOne(VideoInferencer('CONFIG.py', 'CHECKPOINT.pth'))
    >>> sample = predict(image)

    Args:
        inferencer: Inferencer of the model. All frames belong to one new video.
    """
    return inferencer.open_stream('frames', any_size=True)
