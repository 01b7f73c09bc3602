"""Java properties files: the syntax of every file in /etc/trino but jvm.config.

Called by the configuration loader with the bytes of a file that somebody else rendered. It keeps the
order of keys and every duplicate, of which the loader takes the last. It does
not interpret values: `${ENV:...}` and types are the loader's business.
"""

from __future__ import annotations

from dataclasses import dataclass

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_BLANKS = " \t\f"
_HEX_DIGITS = 4


class MalformedProperties(ValueError):
    """The bytes are not a properties file; the message says where."""


@dataclass(frozen=True, slots=True)
class Property:
    """One `key=value` with the number of the natural line it starts on."""

    key: str
    value: str
    line: int


def parse_properties(data: bytes) -> tuple[Property, ...]:
    """Every property in file order, duplicates included."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedProperties(f"not UTF-8 at byte {error.start}") from error
    return tuple(
        _split(logical, number) for logical, number in _logical_lines(text) if logical and logical[0] not in "#!"
    )


def _natural_lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _logical_lines(text: str) -> list[tuple[str, int]]:
    """Natural lines joined where they end in an odd number of backslashes; comments never continue."""
    result: list[tuple[str, int]] = []
    pending = ""
    start = 0
    continuing = False
    for number, natural in enumerate(_natural_lines(text), start=1):
        line = natural.lstrip(_BLANKS)
        if not continuing:
            start = number
            if line[:1] in ("#", "!"):
                continue
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending += line[:-1]
            continuing = True
            continue
        result.append((pending + line, start))
        pending = ""
        continuing = False
    if pending:
        result.append((pending, start))
    return result


def _split(line: str, number: int) -> Property:
    """The key ends at the first unescaped `=`, `:` or blank; blanks around one separator are dropped."""
    position = 0
    while position < len(line) and line[position] not in "=:" + _BLANKS:
        position += 2 if line[position] == "\\" else 1
    position = min(position, len(line))
    key = line[:position]
    rest = line[position:].lstrip(_BLANKS)
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(_BLANKS)
    return Property(_unescape(key, number), _unescape(rest, number), number)


def _unescape(text: str, number: int) -> str:
    if "\\" not in text:
        return text
    result: list[str] = []
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != "\\" or position >= len(text):
            if character != "\\":
                result.append(character)
            continue
        escaped = text[position]
        position += 1
        if escaped == "u":
            digits = text[position : position + _HEX_DIGITS]
            if len(digits) < _HEX_DIGITS or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
                raise MalformedProperties(f"line {number}: malformed \\uxxxx encoding")
            result.append(chr(int(digits, 16)))
            position += _HEX_DIGITS
        else:
            result.append(_ESCAPES.get(escaped, escaped))
    # A pair of \u escapes may spell one character beyond the basic plane, as in UTF-16.
    return "".join(result).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def escape_key(text: str) -> str:
    """The key as it must stand in a file to be read back."""
    return _escape(text, every_blank=True)


def escape_value(text: str) -> str:
    """The value as it must stand in a file to be read back."""
    return _escape(text, every_blank=False)


def _escape(text: str, *, every_blank: bool) -> str:
    named = {value: "\\" + key for key, value in _ESCAPES.items()}
    result: list[str] = []
    for index, character in enumerate(text):
        if character in named:
            result.append(named[character])
        elif character in "\\=:#!":
            result.append("\\" + character)
        elif character == " " and (every_blank or index == 0):
            result.append("\\ ")
        else:
            result.append(character)
    return "".join(result)
