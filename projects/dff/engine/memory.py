"""Memory of the C library, on CPUs."""

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = 2**31 - 1  # bytes; the largest that mallopt takes
TOP_PAD = 64 * 2**20  # bytes asked for at a time


def keep_freed_memory() -> bool:
    """Let glibc keep what is freed, for the next tensor of that size.

    By default every tensor of more than some 32 MB, and much of what is smaller, is
    mapped anew and given back to the kernel, which clears and maps its pages at each
    step again: on a virtual machine that can take more time than the arithmetic.
    Memory that was once used stays with the process; its peak is about as before.
    Environment variables of glibc (``MALLOC_MMAP_MAX_`` and so on) have the same
    effect; called here, nobody has to know them.

    Returns:
        Whether it was done; elsewhere than on glibc nothing happens.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    options = {
        M_ARENA_MAX: 1,  # threads of autograd allocate, too
        M_MMAP_MAX: 0,
        M_TRIM_THRESHOLD: NEVER,
        M_TOP_PAD: TOP_PAD,
    }
    return all([mallopt(option, value) == 1 for option, value in options.items()])
