"""What a gateway worker holds in memory: `python -m bench.gateway.memory --help`.

    python -m bench.gateway.memory --workers 2 --results bench/results/gateway-memory.json

The whole gateway with 1,000 routes to 1,000 coordinators (stand-ins, each at an address of its own), probed and
healthy, and 10,000 live queries over 200 client connections. Reports resident memory (what the target is about),
proportional (shared pages by their share: what one more worker costs) and private, per worker, after the start and
with the queries; and what an idle client connection costs. One JSON line last. Exits with 1 when a worker holds more
than the target.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.gateway import machine
from bench.gateway.cluster import key
from bench.gateway.deployment import Deployment
from bench.gateway.idle import allow_files, bytes_per_connection
from bench.gateway.processes import Memory, memory, stop_in_order
from bench.gateway.variants import Variant, add_options, chosen

TARGET = 60 * 2**20
_CONNECTIONS = 200
_SETTLE_SECONDS = 2.0
_HEALTHY_SECONDS = 300.0
# Far more pages than are ever asked for: the query stays live.
_SQL = b"SELECT * FROM orders -- polls=100000 bytes=600"
_NEXT = re.compile(rb'"nextUri":"([^"]+)"').search
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE).search


async def answer_of(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Status and body of an answer with a length."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH(head)
    return head[9:12], await reader.readexactly(int(length[1])) if length else b""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.memory", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--routes", type=int, default=1000, help="and as many coordinators (default 1000)")
    parser.add_argument("--queries", type=int, default=10_000, help="that are live (default 10000)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--connections", type=int, default=2000, help="idle ones whose cost is measured; 0: none")
    parser.add_argument("--cores", default="0,1", help="cores for the rest, and for the gateway (default 0,1)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the result to FILE.json")
    return parser.parse_args()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    """The next link in the answer."""
    writer.write(request)
    status, body = await answer_of(reader)
    following = _NEXT(body)
    if status != b"200" or following is None:
        raise SystemExit(f"a query did not stay live: {status!r} {body[:500]!r}")
    return urlsplit(following[1]).path


async def submit(port: int, routes: int, numbers: range, hold: asyncio.Event, done: asyncio.Semaphore) -> None:
    """Make queries live over one connection, then keep the connection open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number in numbers:
            headers = b"Host: gateway\r\nX-Trino-User: u%d\r\nX-Trino-XTrinode: %b\r\n" % (
                number % 100,
                key(number % routes).encode(),
            )
            post = b"POST /v1/statement HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (headers, len(_SQL), _SQL)
            path = await ask(reader, writer, post)
            await ask(reader, writer, b"GET %b HTTP/1.1\r\n%b\r\n" % (path, headers))
        done.release()
        await hold.wait()
    finally:
        writer.close()


async def healthy(deployment: Deployment, routes: int) -> None:
    """Wait until every coordinator has been probed, so that all that a probe leaves behind is there."""
    deadline = asyncio.get_running_loop().time() + _HEALTHY_SECONDS
    while True:
        page = await asyncio.to_thread(deployment.management, "/metrics")
        found = re.findall(r"^xtrinode_gateway_coordinator_health\{.*\} (\d+)", page, re.MULTILINE)
        if sum(value.startswith("1") for value in found) >= routes:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise SystemExit(f"{len(found)} of {routes} coordinators are known, not all healthy")
        await asyncio.sleep(1)


def weigh(deployment: Deployment) -> list[Memory]:
    return [memory(pid) for pid in deployment.workers()]


async def measure(options: argparse.Namespace, deployment: Deployment) -> dict[str, list[Memory]]:
    """What every worker holds: ready, and with the queries."""
    await healthy(deployment, options.routes)
    ready = weigh(deployment)
    print(f"{options.routes} coordinators are healthy; {tell(ready)}", flush=True)
    hold, done = asyncio.Event(), asyncio.Semaphore(0)
    numbers = range(options.queries)
    tasks = [
        asyncio.create_task(submit(deployment.port, options.routes, numbers[start::_CONNECTIONS], hold, done))
        for start in range(_CONNECTIONS)
    ]
    try:
        waiting = asyncio.create_task(_all(done, len(tasks)))
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        await waiting
        await asyncio.sleep(_SETTLE_SECONDS)
        live = await asyncio.to_thread(deployment.metric, "xtrinode_gateway_inflight_queries")
        if live != options.queries:
            raise SystemExit(f"the gateway counts {live:.0f} live queries, not {options.queries}")
        loaded = weigh(deployment)
        print(f"{options.queries} queries are live; {tell(loaded)}", flush=True)
        return {"ready": ready, "loaded": loaded}
    finally:
        hold.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _all(done: asyncio.Semaphore, count: int) -> None:
    for _ in range(count):
        await done.acquire()


def tell(workers: list[Memory]) -> str:
    return "; ".join(
        f"worker {number}: {one.resident / 2**20:.1f} MiB resident, {one.proportional / 2**20:.1f} proportional, "
        f"{one.private / 2**20:.1f} private"
        for number, one in enumerate(workers)
    )


def metrics_of(build: Variant, found: dict[str, list[Memory]], idle: float | None) -> dict[str, float]:
    """The heaviest worker speaks for all."""
    metrics: dict[str, float] = {}
    for moment, workers in found.items():
        metrics[f"memory.{build.name}.{moment}_rss_bytes"] = max(one.resident for one in workers)
        metrics[f"memory.{build.name}.{moment}_pss_bytes"] = max(one.proportional for one in workers)
        metrics[f"memory.{build.name}.{moment}_private_bytes"] = max(one.private for one in workers)
    if idle is not None:
        metrics[f"memory.{build.name}.idle_connection_bytes"] = round(idle)
    return metrics


def main() -> None:
    stop_in_order()
    options = arguments()
    build, about = chosen(options), machine.record()
    print(machine.in_words(about), flush=True)
    allow_files(4 * max(options.routes, _CONNECTIONS, options.connections) + 1000)
    other_core, gateway_core = options.cores.split(",")
    with (
        tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name,
        Deployment(
            build,
            Path(name),
            options.routes,
            gateway_core=gateway_core,
            other_core=other_core,
            workers=options.workers,
        ) as deployment,
    ):
        found = asyncio.run(measure(options, deployment))
    idle = bytes_per_connection(build, options.connections) if options.connections else None
    if idle is not None:
        print(f"an idle connection costs {idle / 1024:.1f} KiB")
    metrics = metrics_of(build, found, idle)
    settings = {key: getattr(options, key) for key in ("variant", "routes", "queries", "workers", "connections")}
    result: dict[str, Any] = {"bench": "gateway.memory", "machine": about, "settings": settings, "metrics": metrics}
    if options.results:
        workers = {moment: [vars(one) for one in each] for moment, each in found.items()}
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps({**result, "workers": workers}, indent=1) + "\n")
        print(f"wrote {options.results}")
    heaviest = metrics[f"memory.{build.name}.loaded_rss_bytes"]
    met = heaviest < TARGET
    print(
        f"{'met' if met else 'MISSED'}: {heaviest / 2**20:.1f} MiB per worker, target < {TARGET / 2**20:.0f}",
        flush=True,
    )
    print(json.dumps({"bench": "gateway.memory", "machine": about, "metrics": metrics}))
    if not met:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
