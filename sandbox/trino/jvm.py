"""jvm.config: the options of the Java process, of which the stand-in needs the heap size.

Called by the configuration loader. It refuses what the JVM's launcher would stop at, and knows
nothing of the many tuning flags that have no meaning here.
"""

from __future__ import annotations

from collections.abc import Callable

from sandbox.trino.units import parse_heap_size

_DEFAULT_SHARE = 0.25


def parse_jvm_config(data: bytes | None, physical_memory: int, report: Callable[[str], None]) -> int:
    """Maximum heap in bytes; problems go to `report`. Later options win, as on a command line."""
    heap = int(physical_memory * _DEFAULT_SHARE)
    initial = 0
    if data is None:
        return heap
    for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        option = raw.strip()
        if not option or option.startswith("#"):
            continue
        if not option.startswith(("-", "@")):
            report(f"jvm.config line {number}: Could not find or load main class {option}")
            continue
        try:
            if option.startswith("-Xmx"):
                heap = parse_heap_size(option.removeprefix("-Xmx"))
            elif option.startswith("-Xms"):
                initial = parse_heap_size(option.removeprefix("-Xms"))
            elif option.startswith("-XX:MaxRAMPercentage="):
                heap = int(physical_memory * float(option.partition("=")[2]) / 100)
        except ValueError as error:
            report(f"jvm.config line {number}: {error}")
    if initial > heap:
        report("jvm.config: Initial heap size set to a larger value than the maximum heap size")
    return heap
