"""A connection to an IP address, without the event loop's own means.

Those look every address up in a pool of threads, also one that needs no looking up. That is slow, and a process that
has once had threads pays for it with every system call: its table of descriptors is shared from then on.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket


async def connected_socket(ip: str, port: int) -> socket.socket:
    """A non-blocking TCP socket that is connected; raises OSError when it cannot be."""
    raw = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
    try:
        raw.setblocking(False)
        error = raw.connect_ex((ip, port))
        if error == errno.EINPROGRESS:
            await _writable(raw.fileno())
            error = raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        raw.close()
        raise
    return raw


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    settled: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _settle, settled)
    try:
        await settled
    finally:
        loop.remove_writer(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
