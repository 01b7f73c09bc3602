"""How the C library and the interpreter are set up for a process that serves, with its reasons.

Called by the entry points, and `set_aside` by the wiring after a table of routes was loaded. Knows nothing of the
gateway itself.

Memory. A page of metrics for a thousand runtimes is 2 MiB, and made a few times a minute. By its defaults glibc would
serve it from the heap after the first time, where a small block behind it keeps all of it resident; and every thread
would get a heap of its own. Blocks of the data path (a read is at most 256 KiB) stay in the heap, so nothing is slower.
Other C libraries have no such call and keep their ways.

Threads. Large tables and pages are made in a thread; the event loop must not wait for that thread's usual 5 ms.

Cycles. A full collection looks at every object of the process. With 5,000 routes that is a tenth of a second in which
nobody is served, again and again while routes change, and it finds nothing: routes hold no cycles. So what is there
after a table was loaded is set aside, and the collector goes on with what came since. What was set aside is freed as
ever when nobody refers to it any more; only cycles in it would stay, so what ends takes its cycles apart.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h
_LARGE: Final = 1 << 20
_TURN: Final = 0.0005  # seconds that a thread keeps the interpreter when another wants it
# Objects made and not freed until the young ones are looked at. Reading a table makes more than the usual 700 at once.
_YOUNG: Final = 10_000


def begin() -> None:
    """Once, at the start of a process, before any thread runs."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Blocks of a megabyte and more go back to the system as soon as they are freed.
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)
        mallopt(_ARENA_MAX, 1)
    sys.setswitchinterval(_TURN)
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


def set_aside() -> None:
    """What is there now has come to stay: collect what has not, and leave the rest alone from now on."""
    gc.collect()
    gc.freeze()
