"""Header lines: is this one well-formed, and does it concern a proxy?

Most header lines come again and again (the same client, the same server), so a verdict is remembered by the whole
line: judging a head is then one split and one dictionary look-up per line, also when one line in it is new every
time. The memory is bounded, holds no line that may carry a credential, and is a pure function's, so that it can be
dropped at any moment.
"""

from __future__ import annotations

import re
from typing import Final

# What a line is to a proxy. Everything that is not of interest is PASS. Ordered: what has to be taken out of a head
# is DROPPED or above; CONNECTION_KEPT may stay in a head that is otherwise untouched, because it is true of either
# side of us, and goes when the head is rebuilt.
BAD: Final = -1
PASS: Final = 0
HOST: Final = 1
BAD_LENGTH: Final = 2
TRANSFER_ENCODING: Final = 3
EXPECT: Final = 4
TRANSACTION: Final = 5
CONTENT_ENCODING: Final = 6
LOCATION: Final = 7
STARTED_TRANSACTION: Final = 8
CHALLENGE: Final = 9
DATA_ENCODING: Final = 10
CONNECTION_KEPT: Final = 11  # `Connection: keep-alive` and nothing else
DROPPED: Final = 12
CONNECTION: Final = 12
HOP: Final = 13  # concerns one connection only
FORWARDED: Final = 14
SELECTOR: Final = 15
INTERNAL: Final = 16  # ours; never leaves
CONTENT_LENGTH: Final = 32  # and above: a Content-Length of `kind - CONTENT_LENGTH`

_KINDS: Final[dict[bytes, int]] = {
    b"host": HOST,
    b"content-length": BAD_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"te": HOP,
    b"upgrade": HOP,
    b"http2-settings": HOP,
    b"expect": EXPECT,
    b"forwarded": FORWARDED,
    b"x-trino-xtrinode": SELECTOR,
    b"x-api-key": INTERNAL,
    b"x-trino-transaction-id": TRANSACTION,
    b"x-trino-query-data-encoding": DATA_ENCODING,
    b"content-encoding": CONTENT_ENCODING,
    b"location": LOCATION,
    b"x-trino-started-transaction-id": STARTED_TRANSACTION,
    b"www-authenticate": CHALLENGE,
}
_CREDENTIALS: Final = frozenset(
    {
        b"authorization",
        b"cookie",
        b"set-cookie",
        b"proxy-authorization",
        b"x-api-key",
        b"x-trino-extra-credential",
        b"www-authenticate",
        b"location",  # of an object store, signed; of a login, with its state
    }
)

# RFC 9110 token, colon, then visible characters, spaces and tabs. No other control byte is let through: CR, LF and
# NUL split messages in some readers, and no header needs the rest.
_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):([\t\x20-\x7e\x80-\xff]*+)").fullmatch

_DIGITS: Final = re.compile(rb"[0-9]{1,18}").fullmatch

_MEMO_LINES: Final = 4096
_MEMO_LINE_BYTES: Final = 256
MEMO: Final[dict[bytes, int]] = {}


def kind_of(line: bytes) -> int:
    """What a header line (without its CRLF) is; BAD when malformed. Remembers the answer."""
    found = _LINE(line)
    if found is None:
        return BAD
    name = found.group(1).lower()
    kind = _KINDS.get(name, PASS)
    if kind == BAD_LENGTH:
        digits = found.group(2).strip(b" \t")
        if _DIGITS(digits) is not None:
            kind = CONTENT_LENGTH + int(digits)
    elif kind == PASS and name.startswith(b"x-forwarded-"):
        kind = FORWARDED
    elif kind == CONNECTION and found.group(2).strip(b" \t").lower() == b"keep-alive":
        kind = CONNECTION_KEPT
    if len(line) <= _MEMO_LINE_BYTES and name not in _CREDENTIALS:
        if len(MEMO) >= _MEMO_LINES:
            MEMO.clear()
        MEMO[line] = kind
    return kind


def value_of(line: bytes) -> bytes:
    """The value of a well-formed header line."""
    return line[line.index(b":") + 1 :].strip(b" \t")


def name_of(line: bytes) -> bytes:
    """The lower-cased name of a well-formed header line."""
    return line[: line.index(b":")].lower()


# A proxy may not be talked into dropping these by a Connection header that nominates them: the message's meaning,
# or where it ends, would change on the way.
NEVER_NOMINATED: Final = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"expect", b"close", b"keep-alive", b""}
)


def connection_options(values: list[bytes]) -> tuple[bool, bool, frozenset[bytes]]:
    """Of all Connection values: close, keep-alive, and the header names they nominate as hop-by-hop."""
    options = {option.strip(b" \t").lower() for value in values for option in value.split(b",")}
    return b"close" in options, b"keep-alive" in options, frozenset(options - NEVER_NOMINATED)
