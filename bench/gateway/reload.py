"""How fast a route change takes effect, and what it does to others: `python -m bench.gateway.reload --help`.

    python -m bench.gateway.reload --routes 5000 --results bench/results/gateway-reload.json

The whole gateway with many routes, fed by a stand-in of the Kubernetes API. Again and again a runtime's route is
published, or taken away, while one client asks for that runtime every other millisecond and others submit
statements to the rest. Effect is the time from handing the change to the API until the first answer that shows it.
One JSON line last. Exits with 1 when any other request failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.gateway import machine
from bench.gateway.cluster import key
from bench.gateway.deployment import Deployment
from bench.gateway.idle import allow_files
from bench.gateway.memory import answer_of, healthy
from bench.gateway.processes import stop_in_order
from bench.gateway.spread import percentile
from bench.gateway.variants import add_options, chosen

TARGET_MS = 100.0
_PAUSE = 0.002
_PATIENCE = 30.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.reload", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--routes", type=int, default=1000, help="and as many coordinators (default 1000)")
    parser.add_argument("--changes", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--clients", type=int, default=8, help="that submit and poll meanwhile (default 8)")
    parser.add_argument("--cores", default="0,1", help="cores for the rest, and for the gateway (default 0,1)")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write the result to FILE.json")
    return parser.parse_args()


def submit(number: int) -> bytes:
    sql = b"SELECT 1"
    selector = key(number).encode()
    return (
        b"POST /v1/statement HTTP/1.1\r\nHost: gateway\r\nX-Trino-User: u\r\nX-Trino-XTrinode: %b\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (selector, len(sql), sql)
    )


class Bystander:
    """Clients of routes that stay: every one of their requests has to go well."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures: list[str] = []
        self.slowest = 0.0

    async def run(self, port: int, routes: int, first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = first
        try:
            while True:
                number = (number + 7) % (routes - 1)
                started = time.perf_counter()
                writer.write(submit(number))
                status, body = await answer_of(reader)
                self.slowest = max(self.slowest, time.perf_counter() - started)
                self.requests += 1
                if status != b"200" or b'"nextUri"' not in body:
                    self.failures.append(f"{status!r} {body[:200]!r}")
                await asyncio.sleep(_PAUSE)
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            self.failures.append(f"connection lost: {error}")
        finally:
            writer.close()


async def effect(deployment: Deployment, routes: int, there: bool) -> float:
    """Publish the last route, or take it away; milliseconds until a statement shows it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", deployment.port)
    try:
        started = time.perf_counter()
        publishing = asyncio.create_task(asyncio.to_thread(deployment.publish, routes if there else routes - 1))
        while True:
            writer.write(submit(routes - 1))
            _, body = await answer_of(reader)
            now = time.perf_counter()
            if (b'"nextUri"' in body) is there:
                await publishing
                return (now - started) * 1000
            if now - started > _PATIENCE:
                raise SystemExit(f"the change had no effect within {_PATIENCE:.0f} s: {body[:300]!r}")
            await asyncio.sleep(_PAUSE)
    finally:
        writer.close()


async def measure(options: argparse.Namespace, deployment: Deployment) -> dict[str, Any]:
    """Effects in milliseconds, appearing and disappearing by turns, with what happened to the others."""
    await healthy(deployment, options.routes)
    others = Bystander()
    tasks = [
        asyncio.create_task(others.run(deployment.port, options.routes, first)) for first in range(options.clients)
    ]
    effects: list[float] = []
    try:
        for number in range(options.changes):
            effects.append(await effect(deployment, options.routes, bool(number % 2)))
            if (number + 1) % 20 == 0:
                print(
                    f"{number + 1} changes, last in {effects[-1]:.1f} ms, {others.requests} other requests", flush=True
                )
            await asyncio.sleep(0.05)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "effects_ms": effects,
        "requests": others.requests,
        "failures": others.failures,
        "slowest_ms": others.slowest * 1000,
    }


def main() -> None:
    stop_in_order()
    options = arguments()
    build, about = chosen(options), machine.record()
    print(machine.in_words(about), flush=True)
    allow_files(2 * options.routes + 2000)
    other_core, gateway_core = options.cores.split(",")
    with (
        tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name,
        Deployment(build, Path(name), options.routes, gateway_core=gateway_core, other_core=other_core) as deployment,
    ):
        found = asyncio.run(measure(options, deployment))
    ordered = sorted(found["effects_ms"])
    prefix = f"reload.{build.name}"
    metrics = {
        f"{prefix}.routes": options.routes,
        f"{prefix}.effect_p50_ms": round(percentile(ordered, 0.5), 2),
        f"{prefix}.effect_p99_ms": round(percentile(ordered, 0.99), 2),
        f"{prefix}.effect_max_ms": round(ordered[-1], 2),
        f"{prefix}.other_requests": found["requests"],
        f"{prefix}.other_failures": len(found["failures"]),
        f"{prefix}.other_slowest_ms": round(found["slowest_ms"], 2),
    }
    settings = {name: getattr(options, name) for name in ("variant", "routes", "changes", "clients")}
    result = {"bench": "gateway.reload", "machine": about, "settings": settings, "metrics": metrics, **found}
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1) + "\n")
        print(f"wrote {options.results}")
    p99 = metrics[f"{prefix}.effect_p99_ms"]
    print(f"{'met' if p99 < TARGET_MS else 'MISSED'}: p99 {p99} ms from change to effect, target < {TARGET_MS:.0f}")
    for failure in found["failures"][:5]:
        print(f"FAILED: {failure}")
    print(json.dumps({"bench": "gateway.reload", "machine": about, "metrics": metrics}))
    if found["failures"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
