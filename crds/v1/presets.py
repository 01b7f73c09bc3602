"""Sizes: what `spec.size` gives each role. One table, replaceable as a whole by the operator's settings.

Workers follow the sizes' usual meaning (requests what is reserved, limits what a busy moment may take).
The coordinator grows too: it plans and schedules for all workers, and 64 GiB workers under a 4 GiB
coordinator only move the shortage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crds.v1.fields import ResourceRequirements
from crds.v1.meta import FieldError, InvalidObject, field_path, parse
from crds.v1.xtrinode import SIZES, Size


@dataclass(frozen=True, slots=True)
class Preset:
    """Resources of both roles."""

    coordinator: ResourceRequirements
    worker: ResourceRequirements


Presets = Mapping[Size, Preset]


def _resources(cpu: int, cpu_limit: int, memory: int, memory_limit: int) -> ResourceRequirements:
    return ResourceRequirements(
        requests={"cpu": str(cpu), "memory": f"{memory}Gi"},
        limits={"cpu": str(cpu_limit), "memory": f"{memory_limit}Gi"},
    )


DEFAULT: Presets = {
    "xs": Preset(_resources(1, 2, 4, 8), _resources(1, 2, 4, 8)),
    "s": Preset(_resources(1, 2, 4, 8), _resources(2, 8, 8, 32)),
    "m": Preset(_resources(2, 4, 8, 16), _resources(4, 16, 16, 64)),
    "l": Preset(_resources(4, 8, 16, 32), _resources(8, 32, 32, 128)),
    "xl": Preset(_resources(8, 16, 32, 64), _resources(16, 64, 64, 256)),
}


def parse_presets(raw: Mapping[str, Any]) -> Presets:
    """Read a replacement table: `{size: {coordinator: resources, worker: resources}}`.

    A size or role that is not in it keeps its default; an unknown one is an error.
    """
    known = f"sizes are {', '.join(SIZES)}"
    errors = [FieldError(field_path([size]), known, "NotSupported", size) for size in raw if size not in SIZES]
    table = dict(DEFAULT)
    for size in SIZES:
        entry = raw.get(size)
        if entry is None:
            continue
        if not isinstance(entry, Mapping) or set(entry) - {"coordinator", "worker"}:
            errors.append(FieldError(size, "must hold coordinator and worker"))
            continue
        roles = {"coordinator": table[size].coordinator, "worker": table[size].worker}
        for role, value in entry.items():
            try:
                roles[role] = parse(ResourceRequirements, value)
            except InvalidObject as error:
                errors += [
                    FieldError(f"{size}.{role}.{item.path}", item.message, item.kind, item.value)
                    for item in error.errors
                ]
        table[size] = Preset(roles["coordinator"], roles["worker"])
    if errors:
        raise InvalidObject(errors)
    return table
