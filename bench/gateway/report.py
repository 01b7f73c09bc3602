"""A comparison's result for people: a table in markdown and a plot, both made from the JSON and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.gateway import machine
from bench.gateway.spread import median, text
from bench.gateway.targets import bound
from bench.gateway.variants import NAMES

# A proxy that is alone on its core hardly ever waits for it.
DISTURBED = 0.05
# One colour for what others built, a family of another for ours.
_COLOURS = {
    "nginx": "#8c8c8c",
    "nginx_tuned": "#5f5f5f",
    "haproxy": "#bdbdbd",
    "aiohttp": "#d9c8a9",
    "pure": "#9ecae1",
    "compiled": "#4292c6",
    "express": "#08519c",
}
_LABELS = {"nginx_tuned": "nginx, buffers tuned", "aiohttp": "aiohttp proxy"}


def render(path: Path) -> None:
    """Write the .md and, where matplotlib is, the .png beside the result at `path`."""
    result = json.loads(path.read_text())
    table = path.with_suffix(".md")
    table.write_text(markdown(result, path.name))
    print(f"wrote {table}")
    try:
        plot(result, path.with_suffix(".png"))
    except ImportError:
        print("no plot: matplotlib is not installed (pip install matplotlib)")
    else:
        print(f"wrote {path.with_suffix('.png')}")


def quiet(result: dict[str, Any]) -> str:
    """How much else ran on the proxies' core, in a sentence."""
    waits = [median(peer["waited"]) for workload in result["workloads"] for peer in workload["peers"].values()]
    worst = max(waits, default=0.0)
    verdict = "the machine was quiet" if worst < DISTURBED else "something else ran there: measure again"
    return f"The proxies waited up to {worst:.1%} of the time for their core; {verdict}."


def markdown(result: dict[str, Any], source: str) -> str:
    """The tables. Medians, with the lowest and the highest round for the ratios."""
    settings = result["settings"]
    lines = [
        "# The gateway beside other proxies",
        "",
        f"Made from `{source}` by `python -m bench.gateway.compare`; not edited by hand.",
        "",
        f"{machine.in_words(result['machine'])}.",
        f"{settings['rounds']} interleaved rounds of {settings['seconds']} s; the proxy alone on one core.",
        quiet(result),
        "",
        "*per core*: requests per second of the proxy's CPU, nginx = 1: nginx's CPU per request (mean of a run before",
        "and a run after) over the proxy's; median (lowest-highest). Higher is better.",
    ]
    for workload in result["workloads"]:
        lines += [
            "",
            f"## {workload['name']}: {workload['what']}, {workload['connections']} connections",
            "",
            "| proxy | per core | CPU us | requests/s | p50 us | p99 us | RSS MiB | errors |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        for name, rounds in workload["peers"].items():
            middle = {figure: median(values) for figure, values in rounds.items()}
            lines.append(
                f"| {_LABELS.get(name, name)} | {text(rounds['ratio_nginx'])} | {middle['cpu_us']:.1f} "
                f"| {middle['rps']:.0f} | {middle['p50_us']:.0f} | {middle['p99_us']:.0f} "
                f"| {max(rounds['resident']) / 2**20:.0f} | {sum(rounds['errors']):.0f} |"
            )
    if result["latency"]:
        lines += _latency_table(result["latency"])
    lines += ["", "## Targets", "", "| figure | target | measured | |", "| --- | --- | ---: | --- |"]
    for verdict in result["targets"]:
        met = "met" if verdict["met"] else "**missed**"
        value = f"{verdict['value']:.3g}"
        if verdict["metric"].endswith("_bytes"):
            value = f"{verdict['value'] / 2**20:.1f} MiB"
        lines.append(f"| {verdict['metric']} | {verdict['target']} | {value} | {met} |")
    return "\n".join(lines) + "\n"


def _latency_table(latency: dict[str, Any]) -> list[str]:
    lines = [
        "",
        f"## Added latency at {latency['rate']:.0f} requests a second, on a fixed schedule",
        "",
        "| | p50 ms | p99 ms | added p50 ms | added p99 ms | share of its core |",
        "| --- | ---: | ---: | --- | --- | ---: |",
    ]
    for name, rounds in latency["peers"].items():
        row = f"| {_LABELS.get(name, name)} | {median(rounds['p50_ms']):.3f} | {median(rounds['p99_ms']):.3f} |"
        if "added_p50_ms" in rounds:
            row += f" {text(rounds['added_p50_ms'], 3)} | {text(rounds['added_p99_ms'], 3)}"
            row += f" | {median(rounds['core_share']):.0%} |"
        else:
            row += " | | |"
        lines.append(row)
    return lines


def plot(result: dict[str, Any], path: Path) -> None:
    """Requests per core against nginx, small messages and pages apart, and added latency."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    latency = result["latency"]
    pages = [workload for workload in result["workloads"] if workload["name"].startswith("page")]
    small = [workload for workload in result["workloads"] if workload not in pages]
    below = [panel for panel in ("pages" if pages else "", "latency" if latency else "") if panel]
    mosaic: list[Any] = [row for row in (["small"] * max(1, len(below)) if small else [], below) if row]
    figure, axes = pyplot.subplot_mosaic(mosaic, figsize=(12.5, 4.6 * len(mosaic)), layout="constrained")
    if small:
        _bars(axes["small"], small)
        axes["small"].set_title("Small messages: requests per core; higher is better")
    if pages:
        _bars(axes["pages"], pages)
        axes["pages"].set_title("Result pages: requests per core; higher is better")
    if latency:
        _added(axes["latency"], latency, [name for name in _COLOURS if name in latency["peers"]])
    rounds = f"Bars are medians of {result['settings']['rounds']} rounds, whiskers the lowest and the highest. "
    about = _wrapped(rounds + machine.in_words(result["machine"]), 190)
    figure.supxlabel(about, fontsize=7.5, color="#555555", x=0.01, ha="left")
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _bars(axes: Any, workloads: list[dict[str, Any]]) -> None:
    names = [name for name in _COLOURS if name != "nginx" and any(name in each["peers"] for each in workloads)]
    width = 0.82 / len(names)
    for index, name in enumerate(names):
        for place, workload in enumerate(workloads):
            values = workload["peers"].get(name, {}).get("ratio_nginx")
            if values is None:
                continue
            at = place + (index - (len(names) - 1) / 2) * width
            middle = median(values)
            error = [[middle - min(values)], [max(values) - middle]]
            axes.bar(
                at, middle, width * 0.92, color=_COLOURS[name], label=_LABELS.get(name, name) if not place else None
            )
            axes.errorbar(at, middle, yerr=error, color="#333333", linewidth=0.8, capsize=1.5)
            if name in NAMES:
                axes.annotate(
                    f"{middle:.2f}",
                    (at, max(values)),
                    xytext=(0, 3),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7 if len(workloads) < 8 else 6,
                )
            target = bound(f"{workload['name']}.{name}.rps_ratio_nginx")
            if target is not None:
                axes.hlines(target, at - width * 0.46, at + width * 0.46, color="#d62728", linewidth=1.8, zorder=3)
    axes.hlines([], 0, 0, color="#d62728", linewidth=1.8, label="target")
    axes.axhline(1.0, color="black", linewidth=0.9, zorder=0.5)
    axes.annotate("nginx", (1.0, 1.0), xycoords=("axes fraction", "data"), xytext=(3, -3), textcoords="offset points")
    axes.set_xticks(range(len(workloads)), [workload["name"] for workload in workloads])
    axes.set_xlim(-0.55, len(workloads) - 0.45)
    axes.set_ylabel("requests per CPU second; nginx = 1")
    _tidy(axes)
    _legend(axes, 8 if len(workloads) > 3 else 4)


def _added(axes: Any, latency: dict[str, Any], names: list[str]) -> None:
    for group, figure in enumerate(("added_p50_ms", "added_p99_ms")):
        width = 0.82 / len(names)
        for index, name in enumerate(names):
            values = latency["peers"][name][figure]
            at = group + (index - (len(names) - 1) / 2) * width
            middle = median(values)
            error = [[middle - min(values)], [max(values) - middle]]
            axes.bar(
                at, middle, width * 0.92, color=_COLOURS[name], label=_LABELS.get(name, name) if not group else None
            )
            axes.errorbar(at, middle, yerr=error, color="#333333", linewidth=0.8, capsize=2)
            axes.annotate(
                f"{middle:.3f}", (at, max(values)), xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8
            )
        limit = bound(f"latency.pure.{figure}")
        if limit is not None:
            axes.hlines(
                limit, group - 0.45, group + 0.45, color="#d62728", linewidth=1.8, label=None if group else "target"
            )
    axes.set_xticks([0, 1], ["p50", "p99"])
    axes.axhline(0, color="black", linewidth=0.9)
    axes.set_ylabel("milliseconds more than direct")
    axes.set_title(f"Added latency at {latency['rate']:.0f} requests a second: lower is better")
    _tidy(axes)
    _legend(axes, 4)


def _legend(axes: Any, columns: int) -> None:
    """Above the bars, with room of its own."""
    axes.set_ylim(top=axes.get_ylim()[1] * 1.18)
    axes.legend(ncols=columns, fontsize=8, loc="upper left", frameon=False)


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.yaxis.grid(visible=True, color="#e5e5e5", linewidth=0.7)
    axes.set_axisbelow(True)


def _wrapped(words: str, width: int) -> str:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(lines)
