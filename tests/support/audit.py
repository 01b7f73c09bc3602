"""What the real API server was asked by our service accounts, from its audit log, and how that compares to their rules.

A call is one request; a watch counts when it opens. `Calls.since` starts a log at its present end, so that tests that
share a control plane see their own part only.

A rule is needed when a call is answered by it and by no narrower one: by a Role before a ClusterRole, by one that names
its objects before one that does not. A ClusterRole is not needed for what happens in our own namespaces: a Role would
have done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.control_plane import AUDITED_NAMESPACES

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """`resource` has the subresource after a slash, as rules write it; `account` is `namespace:name`."""

    account: str
    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    code: int


class Calls:
    def __init__(self, path: Path, start: int = 0) -> None:
        self._path = path
        self._start = start

    @classmethod
    def since(cls, path: Path) -> Calls:
        """The calls from now on."""
        return cls(path, path.stat().st_size if path.exists() else 0)

    def __iter__(self) -> Iterator[Call]:
        """All that was answered so far, each request once."""
        seen: set[str] = set()
        with self._path.open("rb") as log:
            log.seek(self._start)
            for line in log:
                if not line.endswith(b"\n"):
                    return  # still being written
                event = json.loads(line)
                if event["auditID"] not in seen:
                    seen.add(event["auditID"])
                    if "objectRef" in event:
                        yield _call(event)

    def refused(self) -> list[Call]:
        return [call for call in self if call.code in (401, 403)]

    def of(self, account: str) -> list[Call]:
        """The calls of one account, `namespace:name`."""
        return [call for call in self if call.account == account]


def _call(event: dict[str, Any]) -> Call:
    about = event["objectRef"]
    resource = about["resource"] + (f"/{about['subresource']}" if about.get("subresource") else "")
    return Call(
        event["user"]["username"].removeprefix("system:serviceaccount:"),
        event["verb"],
        about.get("apiGroup", ""),
        resource,
        about.get("namespace", ""),
        about.get("name", ""),
        (event.get("responseStatus") or {}).get("code", 0),
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """One verb on one resource: in `namespace` (everywhere when empty), for `names` (all when there are none)."""

    verb: str
    group: str
    resource: str
    namespace: str
    names: frozenset[str]

    def allows(self, call: Call) -> bool:
        asked = (call.group, call.resource) == (self.group, self.resource) and self.verb in _needed(call)
        there = call.namespace == self.namespace if self.namespace else call.namespace not in AUDITED_NAMESPACES
        return asked and there and (not self.names or call.name in self.names)

    @property
    def breadth(self) -> tuple[bool, bool]:
        return (not self.namespace, not self.names)

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}{where}"


def unused(roles: Iterable[Object], calls: Iterable[Call]) -> set[str]:
    """What roles grant and no call needed, as `verb resource` and, for a Role, `in namespace`."""
    grants = {
        Grant(verb, group, resource, role["metadata"].get("namespace", ""), frozenset(rule.get("resourceNames", ())))
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    needed: set[Grant] = set()
    for call in calls:
        for verb in _needed(call):
            candidates = [grant for grant in grants if grant.verb == verb and grant.allows(call)]
            needed |= set(sorted(candidates, key=lambda grant: grant.breadth)[:1])
    return {str(grant) for grant in grants - needed}


def _needed(call: Call) -> tuple[str, ...]:
    """An apply of an object that is not there yet needs `create` besides `patch`; the log says `patch` and 201."""
    return ("patch", "create") if (call.verb, call.code) == ("patch", 201) else (call.verb,)
