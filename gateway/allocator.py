"""How the C library keeps memory that was freed: told once, at the start of a process, before any thread runs.

A page of metrics for a thousand runtimes is 2 MiB, and made a few times a minute. By its defaults glibc would serve it
from the heap after the first time, where a small block behind it keeps all of it resident; and every thread would get
a heap of its own. Blocks of the data path (a read is at most 256 KiB) stay in the heap, so nothing is slower. Other C
libraries have no such call and keep their ways.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_LARGE = 1 << 20


def return_large_blocks() -> None:
    """Give blocks of a megabyte and more back to the system as soon as they are freed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, 1)
