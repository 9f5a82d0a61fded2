"""Middlebury's `.flo` files.

Little-endian: the float 202021.25, width and height as int32, then (H, W, 2) float32,
x and y of the motion of each pixel. A value above 1e9 means that it is unknown.
"""

from pathlib import Path

import numpy as np

MAGIC = np.float32(202021.25)
HEADER_BYTES = 12
MAX_SIDE = 99_999  # pixels; limit of Middlebury's own reader


def read_flo(path: str | Path) -> np.ndarray:
    """Read a flow (H, W, 2), float32, in pixels.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is not a flow, or its length does not fit its size.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'flow file {path} does not exist')
    content = path.read_bytes()
    if len(content) < HEADER_BYTES:
        raise ValueError(
            f'{path} must begin with a header of {HEADER_BYTES} bytes, it has only '
            f'{len(content)} bytes'
        )
    magic = np.frombuffer(content, '<f4', 1)[0]
    if magic != MAGIC:
        raise ValueError(
            f'{path} is not a .flo file: it must begin with {MAGIC} ("PIEH"), got '
            f'{magic} ({content[:4]!r})'
        )
    width, height = (int(side) for side in np.frombuffer(content, '<i4', 2, offset=4))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(
            f'{path} must have 1 to {MAX_SIDE} pixels per side, got width {width}, '
            f'height {height}'
        )
    expected = HEADER_BYTES + 8 * width * height
    if len(content) != expected:
        raise ValueError(
            f'{path} must have {expected} bytes for {width} x {height} pixels, got '
            f'{len(content)}: it is cut off or not a single flow'
        )
    flow = np.frombuffer(content, '<f4', offset=HEADER_BYTES)
    return flow.reshape(height, width, 2).astype(np.float32)


def write_flo(path: str | Path, flow: np.ndarray) -> None:
    """Write a flow (H, W, 2), x and y in pixels.

    Raises:
        ValueError: If the array is empty or has another shape.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or not flow.size:
        raise ValueError(f'flow must be (H, W, 2), got {flow.shape}')
    size = np.array(flow.shape[1::-1], '<i4')  # width, height
    content = MAGIC.astype('<f4').tobytes() + size.tobytes()
    Path(path).write_bytes(content + np.ascontiguousarray(flow, '<f4').tobytes())
