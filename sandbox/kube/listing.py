"""Lists: selection, paging with continue tokens, and what resourceVersion means for them.

A page is cut from one consistent state: the token holds the revision of the first page and the last key, and later
pages are read from the store as of that revision. When that is no longer remembered the answer is 410, and
the client starts again. Used by list, by the start of a watch, and by deletecollection. Pure over a store.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox.kube import errors, selectors
from sandbox.kube.resources import Kind
from sandbox.kube.selectors import FieldSelector, LabelSelector
from sandbox.kube.store import Entry, Store

Object = dict[str, Any]

_MATCHES: Final = '"Exact", "NotOlderThan", ""'


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a kind are asked for."""

    kind: Kind
    namespace: str | None  # None: all namespaces
    labels: LabelSelector
    fields: FieldSelector

    @classmethod
    def parse(cls, kind: Kind, namespace: str, name: str, query: Mapping[str, str]) -> Selection:
        """From a request; 400 for selectors that cannot be read or do not apply to the kind."""
        labels = selectors.parse_labels(query.get("labelSelector", ""))
        fields = selectors.parse_fields(query.get("fieldSelector", ""))
        selectors.check_fields(fields, kind.field_paths)
        if name:
            fields = (*fields, ("metadata.name", name, True))
        where = namespace if kind.namespaced and namespace else None if kind.namespaced else ""
        return cls(kind, where, labels, fields)

    @property
    def everything(self) -> bool:
        return not self.labels and not self.fields

    def wants(self, obj: Object) -> bool:
        """Whether a stored object is selected."""
        if self.labels and not selectors.matches(self.labels, obj["metadata"].get("labels")):
            return False
        return not self.fields or selectors.matches_fields(self.fields, self.kind.shown(obj))


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, its revision, and how to go on ("" at the end)."""

    entries: list[Entry]
    revision: int
    token: str = ""
    remaining: int | None = None


def list_page(store: Store, selection: Selection, query: Mapping[str, str]) -> Page:
    """The page that a list request asks for."""
    limit = max(_number(query, "limit", signed=True), 0)
    token = query.get("continue", "")
    wanted = _number(query, "resourceVersion")
    match = query.get("resourceVersionMatch", "")
    if token and wanted:
        raise errors.bad_request("specifying resource version is not allowed when using continue")
    _check_match(match, wanted, query)
    table = selection.kind.table
    after: tuple[str, str] | None = None
    if token:
        revision, after = _read_token(token)
        entries = _entries_at(store, selection, revision, after)
    elif match == "Exact" or (match == "" and limit and wanted):
        revision = wanted
        entries = store.entries_at(table, selection.namespace, revision)
    else:
        if wanted > store.revision:
            raise errors.too_large_resource_version(wanted, store.revision)
        revision = store.revision
        entries = _candidates(store, selection)
    if not selection.everything:
        entries = [entry for entry in entries if selection.wants(entry.obj)]
    if not limit or len(entries) <= limit:
        return Page(entries, revision)
    last = entries[limit - 1]
    remaining = len(entries) - limit if selection.everything else None
    return Page(entries[:limit], revision, _token(revision, (last.namespace, last.name)), remaining)


def _candidates(store: Store, selection: Selection) -> list[Entry]:
    name = selectors.name_of(selection.fields)
    if name and selection.namespace is not None:
        entry = store.get(selection.kind.table, selection.namespace, name)
        return [entry] if entry is not None else []
    return store.entries(selection.kind.table, selection.namespace)


def _entries_at(store: Store, selection: Selection, revision: int, after: tuple[str, str]) -> list[Entry]:
    try:
        entries = store.entries_at(selection.kind.table, selection.namespace, revision)
    except errors.StatusError as error:
        if error.code != 410:
            raise
        message = "The provided continue parameter is too old to display a consistent list result. "
        raise errors.gone(message + "You can start a new list without the continue parameter.") from error
    return [entry for entry in entries if (entry.namespace, entry.name) > after]


def _check_match(match: str, wanted: int, query: Mapping[str, str]) -> None:
    if not match:
        return
    if match not in ("Exact", "NotOlderThan"):
        raise _invalid("FieldValueNotSupported", f'Unsupported value: "{match}": supported values: {_MATCHES}')
    if "resourceVersion" not in query and not query.get("sendInitialEvents"):
        raise _invalid(
            "FieldValueForbidden", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        )
    if match == "Exact" and not wanted:
        raise _invalid(
            "FieldValueForbidden", 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        )


def _invalid(reason: str, message: str) -> errors.StatusError:
    cause = errors.Cause(reason, message, "resourceVersionMatch")
    return errors.invalid("ListOptions", "meta.k8s.io", "", [cause])


def number_of(query: Mapping[str, str], key: str) -> int:
    """A non-negative number of the query; 0 when absent, 400 when it is none."""
    return _number(query, key)


def _number(query: Mapping[str, str], key: str, *, signed: bool = False) -> int:
    text = query.get(key, "")
    if not text:
        return 0
    digits = text.removeprefix("-") if signed else text
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 18:
        raise errors.bad_request(f'{key}: Invalid value: "{text}": must be a non-negative number')
    return int(text)


def _token(revision: int, last: tuple[str, str]) -> str:
    document = orjson.dumps({"v": "xtrinode.io/v1", "rv": revision, "start": list(last)})
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        document = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = document["start"]
        if document["v"] != "xtrinode.io/v1" or not isinstance(document["rv"], int):
            raise ValueError("version")
        return document["rv"], (str(namespace), str(name))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise errors.bad_request("continue key is not valid: start the list again without it") from None
