"""Writes the table of configuration keys that a Trino server knows: `sandbox/trino/server_keys.py`.

Run by hand when the default Trino version moves. It reads the annotations of the configuration classes in the
server's jars (`io.trino:trino-main` and the `io.airlift` modules of the version that trino-root names, all on Maven
Central), so the table is the server's own, with keys that its documentation leaves out:

    python tools/trino_config_keys.py --trino 480 *.jar > sandbox/trino/server_keys.py

Keys that plugins and connectors read are not among them. No part of the system imports this.
"""

from __future__ import annotations

import argparse
import struct
import sys
import textwrap
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PACKAGE = "Lio/airlift/configuration/"
_HTTP_CLIENT = "io/airlift/http/client/HttpClientConfig"
# Bound behind the name of a service, or only in the server's own tests.
_SKIPPED = {"io/airlift/discovery/client/ServiceSelectorConfig"}
_KINDS = {
    **dict.fromkeys(["I", "J", "Ljava/lang/Integer;", "Ljava/lang/Long;"], "INTEGER"),
    **dict.fromkeys(["D", "F", "Ljava/lang/Double;", "Ljava/math/BigDecimal;"], "DECIMAL"),
    **dict.fromkeys(["Z", "Ljava/lang/Boolean;"], "BOOLEAN"),
    "Lio/airlift/units/DataSize;": "SIZE",
    "Lio/airlift/units/Duration;": "DURATION",
}
_HEAD = '''\
"""The configuration keys of Trino {version}, from the annotations of its configuration classes.

Written by tools/trino_config_keys.py; edit that, not this. CURRENT are the keys by the kind of their value, LEGACY
old names that still work, DEFUNCT ones that a server refuses to start with. HTTP_CLIENT are those of the HTTP clients
inside the server, each behind a prefix of its own.
"""

from __future__ import annotations

SIZE, DURATION, INTEGER = "size", "duration", "integer"
DECIMAL, BOOLEAN, TEXT = "decimal", "boolean", "text"'''
_ORDER = ("SIZE", "DURATION", "INTEGER", "DECIMAL", "BOOLEAN", "TEXT")


@dataclass
class Keys:
    """Keys by kind; `legacy` are old names that still work, `defunct` ones that end the start."""

    current: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    legacy: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    defunct: set[str] = field(default_factory=set)


class ClassFile:
    """The names, method signatures and run-time annotations of one class file (JVM specification, chapter 4)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 8
        self._pool = self._read_pool()
        self._at += 2
        self.name = str(self._pool[self._pool[self._u2()]])
        self._at += 2
        interfaces = self._u2()
        self._at += 2 * interfaces
        for _ in range(self._u2()):  # fields
            self._member()
        self.methods = [self._member() for _ in range(self._u2())]
        self.annotations = self._attributes()

    def _u2(self) -> int:
        self._at += 2
        return int(struct.unpack_from(">H", self._data, self._at - 2)[0])

    def _u4(self) -> int:
        self._at += 4
        return int(struct.unpack_from(">I", self._data, self._at - 4)[0])

    def _read_pool(self) -> list[Any]:
        count = self._u2()
        pool: list[Any] = [None] * count
        index = 1
        while index < count:
            tag = self._data[self._at]
            self._at += 1
            if tag == 1:
                length = self._u2()
                pool[index] = self._data[self._at : self._at + length].decode("utf-8", "replace")
                self._at += length
            elif tag in (7, 8, 16, 19, 20):
                pool[index] = self._u2()
            elif tag == 15:
                self._at += 3
            else:
                self._at += 8 if tag in (5, 6) else 4
                index += tag in (5, 6)  # these take two places
            index += 1
        return pool

    def _member(self) -> tuple[str, dict[str, dict[str, Any]]]:
        self._at += 4
        descriptor = str(self._pool[self._u2()])
        return descriptor, self._attributes()

    def _attributes(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for _ in range(self._u2()):
            name, length = self._pool[self._u2()], self._u4()
            end = self._at + length
            if name == "RuntimeVisibleAnnotations":
                found = dict(self._annotation() for _ in range(self._u2()))
            self._at = end
        return found

    def _annotation(self) -> tuple[str, dict[str, Any]]:
        kind = str(self._pool[self._u2()])
        return kind, {str(self._pool[self._u2()]): self._value() for _ in range(self._u2())}

    def _value(self) -> Any:
        tag = chr(self._data[self._at])
        self._at += 1
        if tag == "[":
            return [self._value() for _ in range(self._u2())]
        if tag == "@":
            return self._annotation()
        if tag == "e":
            self._at += 2
        return self._pool[self._u2()]


def classes(jar: Path) -> Iterator[ClassFile]:
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if name.endswith(".class") and "/testing/" not in name:
                data = archive.read(name)
                if _PACKAGE.encode()[1:] in data:
                    yield ClassFile(data)


def collect(jars: list[Path]) -> tuple[Keys, Keys]:
    """The server's keys, and those of its HTTP clients (each bound several times, behind a prefix)."""
    server, client = Keys(), Keys()
    for jar in jars:
        for found in classes(jar):
            if found.name in _SKIPPED:
                continue
            keys = client if found.name == _HTTP_CLIENT else server
            keys.defunct.update(found.annotations.get(f"{_PACKAGE}DefunctConfig;", {}).get("value", []))
            for descriptor, notes in found.methods:
                kind = _KINDS.get(descriptor[1 : descriptor.index(")")], "TEXT")
                if (config := notes.get(f"{_PACKAGE}Config;")) is not None:
                    keys.current[kind].add(config["value"])
                if (legacy := notes.get(f"{_PACKAGE}LegacyConfig;")) is not None:
                    keys.legacy[kind].update(legacy["value"])
    return server, client


def table(name: str, keys: dict[str, set[str]]) -> str:
    lines = [f"{name} = {{"]
    for kind in _ORDER:
        if keys[kind]:
            lines += [f"    {kind}: {block(keys[kind])},"]
    return "\n".join([*lines, "}"])


def block(words: set[str]) -> str:
    text = textwrap.fill(" ".join(sorted(words)), 108, break_long_words=False, break_on_hyphens=False)
    return '"""\n' + textwrap.indent(text, " " * 8) + '\n    """'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trino", required=True, help="the version that the jars are of")
    parser.add_argument("jars", nargs="+", type=Path)
    options = parser.parse_args()
    server, client = collect(options.jars)
    prefix = "http-client."
    stripped = {kind: {key.removeprefix(prefix) for key in keys} for kind, keys in client.current.items()}
    for kind, keys in client.legacy.items():
        stripped.setdefault(kind, set()).update(key.removeprefix(prefix) for key in keys)
    parts = [
        _HEAD.format(version=options.trino),
        table("CURRENT", server.current),
        table("LEGACY", server.legacy),
        table("HTTP_CLIENT", defaultdict(set, stripped)),
        f"DEFUNCT = {block(server.defunct)}",
    ]
    sys.stdout.write("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
