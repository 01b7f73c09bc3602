"""Java properties: the format of every file that Trino reads its configuration from.

`render` escapes, so that a value with a backslash, a leading space or a newline is that value and not another line, and
so that the file is plain ASCII: Trino reads it as Latin-1. `parse` reads what a person wrote into the same values. Both
follow java.util.Properties as far as one file of `key=value` lines goes.

Trino replaces `${ENV:NAME}` in values itself; to this module it is text like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_CONTROL = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_READ = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_KEY_END = re.compile(r"(?<!\\)(?:\\\\)*[=:\s]")


#: What needs no escape, as nearly everything does not.
_PLAIN_KEY = re.compile(r"[-A-Za-z0-9._]*\Z")
_PLAIN_VALUE = re.compile(r"([!-\[\]-~][ -\[\]-~]*)?\Z")


def _escape(text: str, *, key: bool) -> str:
    if (_PLAIN_KEY if key else _PLAIN_VALUE).match(text):
        return text
    out = []
    for index, char in enumerate(text):
        if char == "\\":
            out.append("\\\\")
        elif char in _CONTROL:
            out.append(_CONTROL[char])
        elif not " " <= char <= "~":
            units = char.encode("utf-16-be", "surrogatepass")
            out += [f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)]
        elif (key and char in " =:#!") or (char == " " and index == 0):
            out.append("\\" + char)
        else:
            out.append(char)
    return "".join(out)


def render_line(key: str, value: str) -> str:
    """`key=value`, escaped."""
    return f"{_escape(key, key=True)}={_escape(value, key=False)}"


def render(properties: Mapping[str, str]) -> str:
    """A whole file, sorted by key, so that equal properties are equal bytes."""
    return "".join(f"{render_line(key, properties[key])}\n" for key in sorted(properties))


def parse(lines: str | Iterable[str]) -> dict[str, str]:
    """Read properties. Of a key that occurs twice the last value counts."""
    text = lines if isinstance(lines, str) else "\n".join(lines)
    found: dict[str, str] = {}
    for line in _logical_lines(text):
        end = _KEY_END.search(line)
        if end is None:
            found[_unescape(line)] = ""
            continue
        key = line[: end.end() - 1]
        rest = line[end.end() - 1 :].lstrip(" \t\f")
        if rest[:1] in {"=", ":"}:
            rest = rest[1:].lstrip(" \t\f")
        found[_unescape(key)] = _unescape(rest)
    return found


def _logical_lines(text: str) -> Iterable[str]:
    pending = ""
    for raw in re.split(r"\r\n|\r|\n", text):
        line = raw.lstrip(" \t\f")
        if not pending and (not line or line[0] in "#!"):
            continue
        pending += line
        slashes = len(pending) - len(pending.rstrip("\\"))
        if slashes % 2:
            pending = pending[:-1]
            continue
        if pending:
            yield pending
        pending = ""
    if pending:
        yield pending


_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)


def _unescape(text: str) -> str:
    # An escape is half a character beyond the first 65,536; halves that find no other half are none.
    found = _ESCAPE.sub(_unescape_one, text)
    return found.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "replace")


def _unescape_one(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return _READ.get(code, code)
