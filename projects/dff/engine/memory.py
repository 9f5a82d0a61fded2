"""Settings of the memory allocator of the C library, for CPUs."""

import ctypes
import sys

# glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
NEVER = 2**31 - 1  # bytes; the largest value that mallopt accepts
TOP_PAD = 64 * 2**20  # bytes requested from the kernel at a time


def keep_freed_memory() -> bool:
    """Make glibc reuse freed memory instead of returning it to the kernel.

    By default, glibc maps memory for every tensor above about 32 MB, and for many
    smaller ones, and unmaps it afterwards. The kernel then clears and maps the pages
    again in each step. On a virtual machine this can take longer than the arithmetic.
    With this setting, memory stays with the process. The peak is about the same.
    Environment variables of glibc (``MALLOC_MMAP_MAX_`` and others) have the same
    effect.

    Returns:
        Whether the setting was changed. Without glibc nothing happens.
    """
    if not sys.platform.startswith('linux'):
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    options = {
        M_ARENA_MAX: 1,  # threads of autograd allocate memory, too
        M_MMAP_MAX: 0,
        M_TRIM_THRESHOLD: NEVER,
        M_TOP_PAD: TOP_PAD,
    }
    return all([mallopt(option, value) == 1 for option, value in options.items()])
