"""Hours of trouble in minutes: `python -m bench.gateway.soak [--minutes 20]`. One JSON line last.

A coordinator that answers, stalls, resets, talks nonsense and ends early, before clients that pipeline, upload, read
slowly and vanish. The gateway's memory and file descriptors are sampled; after a warm-up both must stay flat, and at
the end, with everybody gone, no connection may be left.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import tempfile
from collections import Counter
from pathlib import Path

from bench.gateway.peers import Process, free_port, peers

_PAGE = b'{"id":"20261120_101010_00001_abcde","infoUri":"http://g/","nextUri":"http://g/n","stats":{"state":"RUNNING"}}'
_POLL = b"GET /v1/statement/executing/20261120_101010_00001_abcde/y/%d HTTP/1.1\r\nHost: g\r\nX-Trino-User: u%d\r\n\r\n"


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def coordinator(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers most of the time."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length: " in head:
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            dice = random.random()
            if dice < 0.80:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_PAGE), _PAGE))
            elif dice < 0.85:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(_PAGE), _PAGE))
                await asyncio.sleep(random.random() / 20)
                writer.write(b"0\r\n\r\n")
            elif dice < 0.90:
                size = random.randrange(2_000_000)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                for sent in range(0, size, 65536):
                    writer.write(b"x" * min(65536, size - sent))
                    await writer.drain()
            elif dice < 0.92:
                return reset(writer)
            elif dice < 0.94:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort")
                return None
            elif dice < 0.95:
                writer.write(random.randbytes(300))
                return None
            elif dice < 0.97:
                await asyncio.sleep(random.random() * 2)
                writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
                return None
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        return None
    finally:
        writer.close()


async def client(port: int, stop: asyncio.Event, tally: Counter[str]) -> None:
    """Connects, asks in one way or another, and goes; again and again."""
    while not stop.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            tally["refused"] += 1
            await asyncio.sleep(0.1)
            continue
        try:
            async with asyncio.timeout(5):
                await visit(reader, writer, tally)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            tally[type(error).__name__] += 1
        finally:
            if random.random() < 0.3:
                reset(writer)
            writer.close()


async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: Counter[str]) -> None:
    for _ in range(random.randrange(1, 30)):
        dice = random.random()
        count = 1
        if dice < 0.7:
            writer.write(_POLL % (random.randrange(99), random.randrange(9)))
        elif dice < 0.8:
            count = 5
            writer.write((_POLL % (1, 1)) * count)
        elif dice < 0.9:
            body = b"SELECT " + b"x" * random.randrange(100_000)
            head = b"POST /v1/statement HTTP/1.1\r\nHost: g\r\nContent-Length: %d\r\n\r\n" % len(body)
            writer.write(head + body[: len(body) // 2])
            await asyncio.sleep(0)
            writer.write(body[len(body) // 2 :])
        elif dice < 0.95:
            writer.write(b"GET / HTTP/1.1\r\nHost: g\r\nContent-Length: 1, 2\r\n\r\n")
        else:
            return writer.write(b"GET / HTTP/1.1\r\nHo")
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            tally[head[9:12].decode()] += 1
            if b"chunked" in head:
                while (await reader.readuntil(b"\r\n")) != b"0\r\n":
                    await reader.readuntil(b"\r\n")
                await reader.readuntil(b"\r\n")
            elif b"content-length: " in head:
                await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
            if b"connection: close" in head:
                await reader.read()
                return None
    return None


def descriptors(process: Process) -> int:
    return sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())


async def soak(seconds: float, clients: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(coordinator, "127.0.0.1", 0, limit=1 << 20)
    upstream = server.sockets[0].getsockname()[1]
    port = free_port()
    (pure,) = [peer for peer in peers(None) if peer.name == "pure"]
    with tempfile.TemporaryDirectory() as name:
        command = pure.command(Path(name), port, upstream)
        gateway = await asyncio.to_thread(Process, command, 1, port, pure.environment)
    stop = asyncio.Event()
    tally: Counter[str] = Counter()
    tasks = [asyncio.create_task(client(port, stop, tally)) for _ in range(clients)]
    samples: list[tuple[int, int]] = []
    try:
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            await asyncio.sleep(seconds / 20)
            samples.append((gateway.resident(), descriptors(gateway)))
            print(f"{samples[-1][0] / 2**20:6.1f} MiB {samples[-1][1]:5d} descriptors {sum(tally.values()):9d} answers")
        stop.set()
        await asyncio.gather(*tasks)
        await asyncio.sleep(25)  # idle connections to the coordinator have had their time
        left = descriptors(gateway)
    finally:
        for task in tasks:
            task.cancel()
        print(gateway.errors())
        gateway.stop()
        server.close()
    print(dict(tally))
    warm, end = samples[5], samples[-1]
    return {
        "soak.answers": sum(tally.values()),
        "soak.rss_warm_bytes": warm[0],
        "soak.rss_end_bytes": end[0],
        "soak.rss_growth_ratio": round(end[0] / warm[0], 4),
        "soak.descriptors_left": left,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=100)
    options = parser.parse_args()
    metrics = asyncio.run(soak(options.minutes * 60, options.clients))
    print(json.dumps({"bench": "gateway.soak", "metrics": metrics}))


if __name__ == "__main__":
    main()
