"""Java properties as Trino reads them: values by key, written so that they come back as they were.

A properties file with a key twice stops Trino, and a raw line that a user supplies may repeat one that we
generate. So files are built as maps, merged by key, and the last writer of a key wins in the order that the
caller gives. Trino loads files as ISO-8859-1 with Java's escapes: everything else is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Properties = dict[str, str]


def parse_lines(lines: Iterable[str]) -> Properties:
    """Reads `key=value` lines as Java does for the plain cases that people write: comments and blank lines are
    dropped, `=` or `:` separate, surrounding space goes. A line without a separator is a key with no value."""
    found: Properties = {}
    for raw in lines:
        for line in raw.splitlines():
            text = line.strip()
            if not text or text[0] in "#!":
                continue
            cut = min((place for place in (text.find("="), text.find(":")) if place >= 0), default=-1)
            key, value = (text[:cut], text[cut + 1 :]) if cut >= 0 else (text, "")
            found[key.rstrip()] = value.strip()
    return found


def merge(*layers: Mapping[str, str]) -> Properties:
    """One map; of a key in several layers the last one's value, at the place of the first."""
    merged: Properties = {}
    for layer in layers:
        merged.update(layer)
    return merged


def write_properties(properties: Mapping[str, str]) -> str:
    """The text of a properties file, in the map's order."""
    return "".join(f"{_escape(key, True)}={_escape(value, False)}\n" for key, value in properties.items())


def _escape(text: str, key: bool) -> str:
    out: list[str] = []
    for place, char in enumerate(text):
        if char == "\\":
            out.append("\\\\")
        elif char == " ":
            # In a key a space separates; in a value only a leading one is lost.
            out.append("\\ " if key or place == 0 else " ")
        elif char in _NAMED:
            out.append(_NAMED[char])
        elif (key and char in "=:") or (char in "#!" and place == 0):
            out.append("\\" + char)
        elif " " < char <= "~":
            out.append(char)
        else:
            out.append("".join(f"\\u{unit:04x}" for unit in _utf16(char)))
    return "".join(out)


_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def _utf16(char: str) -> tuple[int, ...]:
    data = char.encode("utf-16-be", "surrogatepass")
    return tuple(int.from_bytes(data[start : start + 2], "big") for start in range(0, len(data), 2))
