"""Lengths of time in the words that kubectl uses for ages. The sandbox prints them in tables, the plugin for people.

Imports nothing, so that the plugin's start-up does not pay for it.
"""

from __future__ import annotations


def age_text(seconds: float) -> str:
    """At most two units: 119s, 9m59s, 179m, 7h59m, 47h, 7d23h, 729d, 2y70d; more than a second ahead is invalid."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(total, 0)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(first: int, unit: str, second: int, small: str) -> str:
    return f"{first}{unit}{second}{small}" if second else f"{first}{unit}"
