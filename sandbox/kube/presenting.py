"""Answers in the form that the client asked for: plain objects, Tables, or metadata only.

`Form.parse` reads the Accept header once; `Form.of_object`, `of_list` and `of_event` give the bytes. Bodies are always
JSON: clients that prefer protobuf accept it too. Plain objects use the bytes that the store keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox.kube import errors
from sandbox.kube.printing import AGE, NAME, name_and_age
from sandbox.kube.resources import Kind
from sandbox.kube.store import Entry

Object = dict[str, Any]

_META_VERSIONS: Final = ("v1", "v1beta1")
_INCLUDE: Final = ("None", "Metadata", "Object")


@dataclass(frozen=True, slots=True)
class Form:
    """How answers are written. `shape` is "", "Table" or "PartialObjectMetadata"."""

    shape: str = ""
    version: str = "v1"
    include: str = "Metadata"
    clock: Callable[[], float] = lambda: 0.0

    @classmethod
    def parse(cls, accept: str, query: Mapping[str, str], clock: Callable[[], float]) -> Form:
        """The first form in the Accept header that we have; 406 when there is none."""
        if not accept:
            return cls(clock=clock)
        for offer in accept.split(","):
            media, *pairs = (part.strip() for part in offer.split(";"))
            parameters = dict(pair.partition("=")[::2] for pair in pairs)
            if media not in ("application/json", "*/*", "application/*", "application/vnd.kubernetes.protobuf"):
                continue
            shape = parameters.get("as", "")
            if not shape:
                return cls(clock=clock)
            if parameters.get("g") != "meta.k8s.io" or parameters.get("v") not in _META_VERSIONS:
                continue
            if shape in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList"):
                include = query.get("includeObject", "Metadata")
                if include not in _INCLUDE:
                    raise errors.bad_request(f'includeObject: Unsupported value: "{include}"')
                return cls(shape.removesuffix("List"), parameters["v"], include, clock)
        if "yaml" in accept or "cbor" in accept or "text/" in accept:
            return cls(clock=clock)
        raise errors.not_acceptable(
            "only the following media types are accepted: application/json, application/json;as=Table"
        )

    # -- one object

    def of_object(self, kind: Kind, obj: Object) -> bytes:
        if self.shape == "Table":
            return orjson.dumps(self._table(kind, [obj], obj["metadata"].get("resourceVersion", "")))
        if self.shape:
            return orjson.dumps(self._partial(obj, "PartialObjectMetadata"))
        return orjson.dumps(obj)

    def of_entry(self, kind: Kind, entry: Entry) -> bytes:
        """Like `of_object`, with the bytes that the store has already."""
        shown = kind.shown(entry.obj)
        return entry.raw if not self.shape and shown is entry.obj else self.of_object(kind, shown)

    # -- lists

    def of_list(self, kind: Kind, entries: Iterable[Entry], metadata: Object) -> bytes:
        if self.shape == "Table":
            table = self._table(kind, [kind.shown(entry.obj) for entry in entries], "")
            table["metadata"] = metadata
            return orjson.dumps(table)
        if self.shape:
            items = [self._partial(kind.shown(entry.obj), "PartialObjectMetadata") for entry in entries]
            api_version = f"meta.k8s.io/{self.version}"
            return orjson.dumps(
                {"kind": "PartialObjectMetadataList", "apiVersion": api_version, "metadata": metadata, "items": items}
            )
        head = orjson.dumps({"kind": kind.list_name, "apiVersion": kind.api_version, "metadata": metadata})
        items_bytes = b",".join(self.of_entry(kind, entry) for entry in entries)
        return b'%s,"items":[%s]}\n' % (head[:-1], items_bytes)

    # -- watch events

    def of_event(self, event: str, kind: Kind, entry: Entry, *, first: bool) -> bytes:
        """A line of a watch. Only the `first` Table of a stream carries column definitions."""
        if self.shape == "Table":
            table = self._table(kind, [kind.shown(entry.obj)], str(entry.revision))
            if not first:
                table["columnDefinitions"] = None
            body = orjson.dumps(table)
        else:
            body = self.of_entry(kind, entry)
        return b'{"type":"%s","object":%s}\n' % (event.encode(), body)

    def of_bookmark(self, kind: Kind, revision: int, *, initial_end: bool) -> bytes:
        metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj: Object = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
        if self.shape == "Table":
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{self.version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [{"cells": [], "object": obj}] if initial_end else [],
            }
        elif self.shape:
            obj["kind"], obj["apiVersion"] = self.shape, f"meta.k8s.io/{self.version}"
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    # -- pieces

    def _partial(self, obj: Object, name: str) -> Object:
        return {"kind": name, "apiVersion": f"meta.k8s.io/{self.version}", "metadata": obj["metadata"]}

    def _table(self, kind: Kind, objects: list[Object], revision: str) -> Object:
        columns, cells = (kind.columns, kind.cells) if kind.cells is not None else ((NAME, AGE), name_and_age)
        now = self.clock()
        rows = []
        for obj in objects:
            row: Object = {"cells": cells(obj, now) if cells is not None else []}
            if self.include == "Metadata":
                row["object"] = self._partial(obj, "PartialObjectMetadata")
            elif self.include == "Object":
                row["object"] = obj
            else:
                row["object"] = None
            rows.append(row)
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self.version}",
            "metadata": {"resourceVersion": revision},
            "columnDefinitions": [
                {
                    "name": column.name,
                    "type": column.type,
                    "format": column.format,
                    "description": column.description,
                    "priority": column.priority,
                }
                for column in columns
            ],
            "rows": rows,
        }
