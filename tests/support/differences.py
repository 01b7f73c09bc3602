"""Where two JSON documents differ, as lines that a person can read."""

from __future__ import annotations

from typing import Any


def differences(ours: Any, real: Any, path: str = "") -> list[str]:
    """One line per place where `ours` is not `real`."""
    if isinstance(ours, dict) and isinstance(real, dict):
        keys = sorted(ours.keys() | real.keys())
        return [line for key in keys for line in differences(ours.get(key), real.get(key), f"{path}.{key}")]
    if isinstance(ours, list) and isinstance(real, list) and len(ours) == len(real):
        pairs = enumerate(zip(ours, real, strict=True))
        return [line for at, (one, two) in pairs for line in differences(one, two, f"{path}[{at}]")]
    return [] if ours == real else [f"{path}: ours {ours!r}, real {real!r}"]
