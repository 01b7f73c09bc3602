"""How a server process runs from its first line to its exit code.

`run_program` parses the settings, sets up logs, runs the component's coroutine on uvloop where there is one, turns
SIGTERM and SIGINT into the event that the coroutine waits for, and turns a start that failed into one line.

Exit codes: 0 stopped by a signal; 1 could not start or go on (the last line says why); 2 wrong flags.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from crds.process.logs import set_up_logging
from crds.process.settings import Program, SettingsError, parse_settings


class Loggable(Protocol):
    """The settings that every process has."""

    @property
    def log_format(self) -> str: ...

    @property
    def log_level(self) -> str: ...


S = TypeVar("S", bound=Loggable)


def run_program(
    kind: type[S],
    program: Program,
    run: Callable[[S, asyncio.Event], Awaitable[int]],
    expected: tuple[type[Exception], ...],
) -> int:
    """Run `run(settings, stop)`; `stop` is set by the first SIGTERM or SIGINT, a second one ends at once.

    Exceptions of the types `expected` are the user's to mend: their message is printed, without a traceback.
    """
    try:
        settings = parse_settings(kind, program, sys.argv[1:])
    except SettingsError as error:
        print(f"{program.name}: {error}", file=sys.stderr)  # noqa: T201
        return 2
    set_up_logging(settings.log_format, settings.log_level)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_with_signals(run, settings))
    except expected as error:
        logging.getLogger(program.name).error("%s", error)
        return 1
    except KeyboardInterrupt:
        return 130


async def _with_signals(run: Callable[[S, asyncio.Event], Awaitable[int]], settings: S) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return await run(settings, stop)


def _loop_factory() -> Callable[[], Any] | None:
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], Any] = uvloop.new_event_loop
    return factory
