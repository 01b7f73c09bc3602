"""The rules of the token at the end of every nextUri; pure.

Used by the query's two phases. A queued page may be asked for again or be followed by the next one;
an executing page may be asked for again and comes back byte for byte, and going back or ahead is an
error of two kinds. That is what makes a repeated GET safe.
"""

from __future__ import annotations

from dataclasses import dataclass


class TokenGone(Exception):
    """HTTP 410: the page was there once."""


class TokenUnknown(Exception):
    """HTTP 404: no such page will come."""


@dataclass(slots=True)
class QueuedTokens:
    """The phase before dispatch: the last token or the one after it."""

    last: int = 0

    def advance(self, token: int) -> None:
        if token not in (self.last, self.last + 1):
            raise TokenGone
        self.last = max(self.last, token)


@dataclass(slots=True)
class ResultTokens:
    """The phase with results: `page` is the last answer, kept for repeats."""

    last: int = -1
    next: int | None = 0
    page: object | None = None

    def repeated(self, token: int) -> object | None:
        """The kept page when this token had it; None when the token is the next one."""
        if self.page is not None and token == self.last:
            return self.page
        if token < self.last:
            raise TokenGone
        if self.next is None or token != self.next:
            raise TokenUnknown
        return None

    def answered(self, token: int, page: object, *, more: bool) -> None:
        self.last = token
        self.page = page
        self.next = token + 1 if more else None
