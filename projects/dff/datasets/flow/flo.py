"""Middlebury's `.flo` files.

Little-endian: the float 202021.25, width and height as int32, then (H, W, 2) float32,
x and y of each pixel's motion. A value beyond 1e9 says that nobody knows it.
"""

from pathlib import Path

import numpy as np

MAGIC = np.float32(202021.25)
HEADER_BYTES = 12
MAX_SIDE = 99_999  # Middlebury's own reader takes no larger ones


def read_flo(path: str | Path) -> np.ndarray:
    """Read a flow (H, W, 2) float32, as it is in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no flow, or has fewer or more bytes than its size asks for.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'flow file {path} does not exist')
    content = path.read_bytes()
    if len(content) < HEADER_BYTES:
        raise ValueError(
            f'{path} must begin with {HEADER_BYTES} bytes of header, it has '
            f'{len(content)} in all'
        )
    magic = np.frombuffer(content, '<f4', 1)[0]
    if magic != MAGIC:
        raise ValueError(
            f'{path} is no .flo file: it must begin with {MAGIC} ("PIEH"), got '
            f'{magic} ({content[:4]!r})'
        )
    width, height = (int(side) for side in np.frombuffer(content, '<i4', 2, offset=4))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise ValueError(
            f'{path} must be 1 to {MAX_SIDE} pixels a side, got width {width}, '
            f'height {height}'
        )
    expected = HEADER_BYTES + 8 * width * height
    if len(content) != expected:
        raise ValueError(
            f'{path} must have {expected} bytes for {width} x {height} pixels, got '
            f'{len(content)}: it is cut off or no single flow'
        )
    flow = np.frombuffer(content, '<f4', offset=HEADER_BYTES)
    return flow.reshape(height, width, 2).astype(np.float32)


def write_flo(path: str | Path, flow: np.ndarray) -> None:
    """Write a flow (H, W, 2), x and y in pixels.

    Raises:
        ValueError: If the array has another shape.
    """
    if flow.ndim != 3 or flow.shape[2] != 2 or not flow.size:
        raise ValueError(f'flow must be (H, W, 2), got {flow.shape}')
    size = np.array(flow.shape[1::-1], '<i4')  # width, height
    content = MAGIC.astype('<f4').tobytes() + size.tobytes()
    Path(path).write_bytes(content + np.ascontiguousarray(flow, '<f4').tobytes())
