"""Starts Python programs by forking a process that has already imported them.

A dozen stand-ins that each import the same 450 modules keep two cores busy for seconds; forked from here, each is
up in milliseconds and shares that memory. Run by the kubelet as `python -m sandbox.kubelet.nursery MODULE...` with
a SOCK_SEQPACKET socket as standard input. A request is a JSON message {module, argv, env, cwd} with two file
descriptors (stdout, stderr); the answers are {"started": pid} in the order of requests and {"ended": pid, "code": n}.
It has one thread and no event loop, so that forking is safe; when its socket closes, it and its children end.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence

MESSAGE_LIMIT = 128 * 1024  # bytes of a request; longer ones must be started in the ordinary way
_PR_SET_PDEATHSIG = 1


def main(modules: Sequence[str]) -> int:
    channel = socket.socket(fileno=0)
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # collections in a child would copy the pages that it shares with us
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    os.set_blocking(wake_reader, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    die_with_parent = _death_signal()
    while True:
        readable, _, _ = select.select([channel.fileno(), wake_reader], [], [])
        if wake_reader in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_reader, 4096)
            _reap(channel)
        if channel.fileno() in readable:
            message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_LIMIT, 2)
            if not message:
                return 0
            pid = os.fork()
            if pid == 0:
                _child(json.loads(message), descriptors, die_with_parent)
            for descriptor in descriptors:
                os.close(descriptor)
            _tell(channel, {"started": pid})


def _death_signal() -> Callable[[], None]:
    """Makes the kernel kill the calling process when its parent ends; looked up before any fork."""
    if not sys.platform.startswith("linux"):
        return lambda: None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _reap(channel: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _tell(channel, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(channel: socket.socket, answer: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # the kubelet is gone; so are we, in a moment
        channel.send(json.dumps(answer).encode())


def _child(request: dict[str, object], descriptors: Sequence[int], die_with_parent: Callable[[], None]) -> None:
    """Become the program; never returns."""
    code = 1
    try:
        parent = os.getppid()
        os.setsid()
        die_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (descriptors[0], 1), (descriptors[1], 2)):
            os.dup2(source, target)
        os.closerange(3, 1024)
        environment = request["env"]
        assert isinstance(environment, dict)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(str(request["cwd"]))
        random.seed()  # children must not draw the same numbers
        arguments = request["argv"]
        assert isinstance(arguments, list)
        sys.argv = [str(request["module"]), *arguments]
        code = int(importlib.import_module(str(request["module"])).main(arguments) or 0)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
