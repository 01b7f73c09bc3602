"""What every rule about an XTrinode looks at, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from crds.v1.meta import FieldError, InvalidObject
from crds.v1.overlay import Overlay, empty, parse_overlay
from crds.v1.xtrinode import XTrinode, XTrinodeSpec

Errors = Iterator[FieldError]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule looks at."""

    runtime: XTrinode
    overlay: Overlay
    """The empty one when the real one cannot be read; then another rule says so."""

    @property
    def spec(self) -> XTrinodeSpec:
        return self.runtime.spec


Rule = Callable[[Subject], Errors]


def subject(runtime: XTrinode) -> tuple[Subject, tuple[FieldError, ...]]:
    """The subject, and the errors of an overlay that cannot be read."""
    try:
        return Subject(runtime, parse_overlay(runtime.spec.values_overlay)), ()
    except InvalidObject as error:
        return Subject(runtime, empty()), error.errors
