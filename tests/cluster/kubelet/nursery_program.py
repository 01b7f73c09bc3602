"""A program for the nursery's tests: does what its first argument says."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> int:
    what = arguments[0]
    if what == "say":
        print("out", *arguments[1:], os.environ.get("WORD"), os.environ.get("HOME"), len(os.environ), Path.cwd())
        print("err", file=sys.stderr)
        return 7
    if what == "exit":
        sys.exit(int(arguments[1]))
    if what == "raise":
        raise RuntimeError("out of luck")
    if what == "draw":
        print(random.random())
        return 0
    if what == "descriptors":
        print(sorted(int(path.name) for path in Path("/proc/self/fd").iterdir())[:-1])
        return 0
    if what == "family":
        child = os.fork()
        if child:
            print(os.getpid(), child, flush=True)
        time.sleep(1000)
    return 0
