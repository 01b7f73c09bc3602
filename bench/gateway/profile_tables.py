"""What profilers wrote, as tables: calls and time per request by function, shares by shared object. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# A function that fewer requests than this call belongs to start and end, not to the path of a request.
_SELDOM = 0.02
_LINE = re.compile(r"^\s*(\d+(?:\.\d+)?)%\s*\|(.*)$")
_PADDING = re.compile(r"(\s+-)+\s*$")
_CALLS = re.compile(r"^\s*[0-9.]+\s+[0-9.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)\s*$")
_KINDS = (
    ("kernel", re.compile(r"^\[(kernel|guest|vdso|unknown)")),
    ("python", re.compile(r"^(libpython|python\d?)")),
    ("uvloop", re.compile(r"^loop\.")),
    ("libc", re.compile(r"^(libc[.-]|libpthread|ld-)")),
    ("express", re.compile(r"^express")),
    ("mypyc", re.compile(r"__mypyc")),
    ("nginx", re.compile(r"^nginx")),
)


@dataclass(frozen=True)
class Function:
    """`calls` per request; `own_us` of CPU per request without callees, profiler's cost included."""

    name: str
    calls: float
    own_us: float
    share: float


@dataclass(frozen=True)
class Share:
    """Of all samples; `kind` groups shared objects by whose code they are."""

    name: str
    share: float
    kind: str


def by_function(stats: Mapping[tuple[str, int, str], tuple[Any, ...]], requests: int, root: str) -> list[Function]:
    """The functions that requests call, most expensive first. `stats` is that of the standard library's pstats."""
    used = {
        key: (row[1], row[2])
        for key, row in stats.items()
        if row[1] >= _SELDOM * requests and not key[0].startswith("<frozen")
    }
    total = sum(own for _, own in used.values())
    found = [
        Function(_name(key, root), calls / requests, own / requests * 1e6, own / total if total else 0.0)
        for key, (calls, own) in used.items()
    ]
    return sorted(found, key=lambda one: one.own_us, reverse=True)


def _name(key: tuple[str, int, str], root: str) -> str:
    file, line, function = key
    if file == "~":
        return function.strip("<>")
    short = file.removeprefix(f"{root}/").removesuffix(".py").replace("/", ".")
    return (
        f"{short}:{line} {function}" if file.startswith(f"{root}/") else f"{file.rpartition('/')[2]}:{line} {function}"
    )


def shares(report: str) -> list[Share]:
    """The lines of `perf report -t '|'`: a share, then what it was sorted by."""
    found = []
    for line in report.splitlines():
        match = _LINE.match(line)
        if match is not None:
            parts = [_PADDING.sub("", part).strip() for part in match[2].split("|")]
            name = " ".join(part.removeprefix("[.] ").removeprefix("[k] ") for part in parts if part.strip("-"))
            found.append(Share(name, float(match[1]) / 100, kind(parts[0])))
    return sorted(found, key=lambda one: one.share, reverse=True)


def system_calls(summary: str, requests: int) -> dict[str, float]:
    """The table of `strace -c`: calls per request, most frequent first; rare ones left out."""
    counted = {match[2]: int(match[1]) / requests for line in summary.splitlines() if (match := _CALLS.match(line))}
    counted.pop("total", None)
    return {name: round(each, 3) for name, each in sorted(counted.items(), key=lambda one: -one[1]) if each >= _SELDOM}


def kind(shared_object: str) -> str:
    """Whose code it is; a compiled module of ours that is not mypyc's shared library counts as express."""
    for name, pattern in _KINDS:
        if pattern.search(shared_object):
            return name
    return "other"


def markdown(result: dict[str, Any], source: str, in_words: Callable[[dict[str, Any]], str]) -> str:
    lines = [
        "# Where a request's time goes",
        "",
        f"Made from `{source}` by `python -m bench.gateway.profile`; not edited by hand.",
        "",
        f"{in_words(result['machine'])}.",
        *[f"\n{remark}." for remark in result["remarks"]],
    ]
    for workload in result["workloads"]:
        lines += ["", f"## {workload['workload']}: {workload['what']}"]
        builds = workload["builds"]
        if builds:
            kinds = sorted({one["kind"] for each in builds.values() for one in each["objects"]}, key=_order)
            lines += ["", "CPU in microseconds per request, by whose code it is (perf samples):", ""]
            lines += [f"| | all | {' | '.join(kinds)} |", f"| --- | ---: |{' ---: |' * len(kinds)}"]
            for build, each in builds.items():
                cells = [
                    f"{sum(one['share'] for one in each['objects'] if one['kind'] == name) * each['cpu_us']:.2f}"
                    for name in kinds
                ]
                lines.append(f"| {build} | {each['cpu_us']:.2f} | {' | '.join(cells)} |")
            calls = {build: each["system_calls"] for build, each in builds.items() if each["system_calls"]}
            if calls:
                lines += ["", "System calls per request (strace):", ""]
            for build, each in calls.items():
                lines.append(f"- {build}: " + ", ".join(f"{name} {count:.2f}" for name, count in each.items()))
            for build, each in builds.items():
                lines += ["", f"{build}, by symbol:", "", "| share | symbol |", "| ---: | --- |"]
                lines += [f"| {one['share']:.1%} | `{one['name']}` |" for one in each["symbols"]]
        lines += [
            "",
            f"By function, pure Python: {workload['profiled_requests']} requests under the profiler, which slows",
            "every call: a ranking. What the kernel does for a write counts as the function's that writes.",
            "",
            "| own time | calls per request | function |",
            "| ---: | ---: | --- |",
        ]
        lines += [
            f"| {one['share']:.1%} | {one['calls']:.2f} | `{one['name']}` |" for one in workload["functions"][:40]
        ]
    return "\n".join(lines) + "\n"


def _order(name: str) -> int:
    names = [each for each, _ in _KINDS]
    return names.index(name) if name in names else len(names)
