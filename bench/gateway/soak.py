"""Hours of trouble in minutes, before the whole gateway: `python -m bench.gateway.soak --help`.

    python -m bench.gateway.soak --minutes 20 --results bench/results/gateway-soak.json

A coordinator that answers, stalls, resets, talks nonsense and ends early, before clients that pipeline, upload, read
late and vanish, while the route table changes every few seconds and most of its coordinators are not there. The
gateway's memory and file descriptors are sampled; after a warm-up both must stay flat, and at the end, with everybody
gone, no connection may be left. Exits with 1 when one of this does not hold. One JSON line last; with --results the
same with every sample, and a plot (.png). A run of under a minute is mostly warm-up and proves little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.gateway import machine
from bench.gateway.coordinator import address
from bench.gateway.deployment import Deployment
from bench.gateway.flat import Flatness, Sample, flatness
from bench.gateway.processes import descriptors, stop_in_order
from bench.gateway.trouble import HANGS, PATIENCE, client, coordinator
from bench.gateway.variants import Variant, add_options, chosen

# More than half of them stay at every change: the gateway would rightly not believe a larger loss.
_ROUTES = (30, 50)
_SAMPLES = 120
_SPARE_DESCRIPTORS = 10
# Idle connections to a coordinator are closed after twenty seconds.
_PATIENCE = 45.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (default 20)")
    parser.add_argument("--clients", type=int, default=100, help="at the same time (default 100)")
    parser.add_argument(
        "--reload", type=float, default=3.0, metavar="S", help="seconds between route changes (default 3)"
    )
    parser.add_argument(
        "--cores", default="0,1", help="cores for load and coordinator, and for the gateway (default 0,1)"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="write FILE.json, and a plot beside it")
    return parser.parse_args()


async def change_routes(deployment: Deployment, pause: float, changes: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(pause)
        await asyncio.to_thread(deployment.publish, random.randint(*_ROUTES))
        changes.append(loop.time())


async def soak(options: argparse.Namespace, build: Variant, directory: Path) -> dict[str, Any]:
    """Everything that was seen, with the problems in words."""
    loop = asyncio.get_running_loop()
    load_core, gateway_core = options.cores.split(",")
    os.sched_setaffinity(0, {int(load_core)})
    server = await asyncio.start_server(coordinator, address(0), 0, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    deployment = Deployment(
        build, directory, _ROUTES[1], gateway_core=gateway_core, other_core=load_core, coordinator_port=port
    )
    await asyncio.to_thread(deployment.__enter__)
    tally: Counter[str] = Counter()
    stop = asyncio.Event()
    changes: list[float] = []
    tasks: list[asyncio.Task[None]] = []
    samples: list[Sample] = []
    try:
        gateway = deployment.gateway
        at_rest = descriptors(gateway.pid)
        tasks = [asyncio.create_task(client(deployment.port, stop, tally)) for _ in range(options.clients)]
        changing = asyncio.create_task(change_routes(deployment, options.reload, changes))
        started = loop.time()
        for number in range(1, _SAMPLES + 1):
            await asyncio.sleep(started + number * options.minutes * 60 / _SAMPLES - loop.time())
            if not gateway.alive:
                raise SystemExit(f"the gateway ended: {gateway.errors()}")
            if changing.done():
                raise SystemExit(f"routes could not be changed: {changing.exception()}")
            samples.append(
                Sample(loop.time() - started, gateway.resident(), descriptors(gateway.pid), sum(tally.values()))
            )
            if number % 6 == 0:
                last = samples[-1]
                print(
                    f"{last.at:6.0f} s {last.resident / 2**20:6.1f} MiB {last.descriptors:5d} descriptors "
                    f"{last.answers:9d} answers {len(changes):4d} route changes",
                    flush=True,
                )
        changing.cancel()
        stop.set()
        await asyncio.gather(*tasks)
        left = await settled(gateway.pid, at_rest)
        loads = deployment.metric("gateway_requests_total")
    finally:
        for task in tasks:
            task.cancel()
        server.close()
        await asyncio.to_thread(deployment.__exit__, None, None, None)
    found = flatness(samples)
    problems = [*found.problems, *problems_of(gateway.log(), left, at_rest, tally)]
    return {
        "samples": [asdict(sample) for sample in samples],
        "changes": [at - started for at in changes],
        "answers": dict(sorted(tally.items())),
        "metrics": metrics_of(build.name, found, samples, len(changes), left - at_rest, loads),
        "problems": problems,
    }


async def settled(pid: int, at_rest: int) -> int:
    """File descriptors once nobody is there any more, as soon as they are as few as in the beginning."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while descriptors(pid) > at_rest + _SPARE_DESCRIPTORS and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.5)
    return descriptors(pid)


def problems_of(log: str, left: int, at_rest: int, tally: Counter[str]) -> list[str]:
    problems = []
    if left > at_rest + _SPARE_DESCRIPTORS:
        problems.append(f"{left} file descriptors are open with nobody there; {at_rest} were in the beginning")
    if "Traceback" in log:
        problems.append(f"the gateway logged an exception: ...{log[log.index('Traceback') :][:1500]}")
    if tally["refused"]:
        problems.append(f"{tally['refused']} connections were refused")
    if tally[HANGS]:
        problems.append(f"{tally[HANGS]} answers did not come within {PATIENCE:.0f} seconds")
    if not tally["200"]:
        problems.append("nothing was answered with 200")
    return problems


def metrics_of(
    build: str, found: Flatness, samples: list[Sample], changes: int, left: int, requests: float
) -> dict[str, float]:
    return {
        f"soak.{build}.seconds": round(samples[-1].at),
        f"soak.{build}.answers": samples[-1].answers,
        f"soak.{build}.requests": requests,
        f"soak.{build}.route_changes": changes,
        f"soak.{build}.rss_warm_bytes": round(found.warm_resident),
        f"soak.{build}.rss_end_bytes": round(found.end_resident),
        f"soak.{build}.rss_growth_bytes": round(found.end_resident - found.warm_resident),
        f"soak.{build}.descriptors_warm": found.warm_descriptors,
        f"soak.{build}.descriptors_end": found.end_descriptors,
        f"soak.{build}.descriptors_left": left,
    }


def plot(result: dict[str, Any], path: Path) -> None:
    """Memory and file descriptors over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    minutes = [sample["at"] / 60 for sample in result["samples"]]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(10, 6), sharex=True, layout="constrained")
    above.plot(minutes, [sample["resident"] / 2**20 for sample in result["samples"]], color="#08519c")
    above.set_ylim(bottom=0)
    above.set_ylabel("resident memory, MiB")
    above.set_title(
        f"The gateway ({result['settings']['variant']}) under faults: {result['samples'][-1]['answers']} answers, "
        f"{len(result['changes'])} route changes"
    )
    below.plot(minutes, [sample["descriptors"] for sample in result["samples"]], color="#4292c6")
    below.set_ylim(bottom=0)
    below.set_ylabel("open file descriptors")
    below.set_xlabel("minutes")
    for axes in (above, below):
        axes.grid(color="#e5e5e5", linewidth=0.7)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.supxlabel(machine.in_words(result["machine"]), fontsize=7, color="#555555", x=0.01, ha="left")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def main() -> None:
    stop_in_order()
    options = arguments()
    build, about = chosen(options), machine.record()
    print(machine.in_words(about), flush=True)
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        found = asyncio.run(soak(options, build, Path(name)))
    settings = {key: getattr(options, key) for key in ("variant", "minutes", "clients", "reload")}
    result = {"bench": "gateway.soak", "machine": about, "settings": settings, **found}
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1) + "\n")
        with suppress(ImportError):  # without matplotlib there is no plot
            plot(result, options.results.with_suffix(".png"))
        print(f"wrote {options.results}")
    print(f"answers by status or error: {result['answers']}")
    print("\n".join([f"NOT FLAT: {problem}" for problem in result["problems"]] or ["flat"]), flush=True)
    print(json.dumps({"bench": "gateway.soak", "machine": about, "metrics": result["metrics"]}))
    if result["problems"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
