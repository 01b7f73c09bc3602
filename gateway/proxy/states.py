"""The states of a client's connection, and of its request's body."""

from __future__ import annotations

from typing import Final

IDLE: Final = 0  # between requests, or within a head
PARKED: Final = 1  # a request waits for an owner or a connection
WAITING: Final = 2  # forwarded; no response yet
RELAYING: Final = 3  # the response head has gone out
LINGERING: Final = 4  # answered and half closed; what still comes is thrown away
CLOSING: Final = 5  # closed once its bytes are out
CLOSED: Final = 6

NO_BODY: Final = 0  # or all of it has come
LENGTH: Final = 1
CHUNKED: Final = 2
