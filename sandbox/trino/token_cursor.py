"""The words of a statement, read from left to right, and where they stand in the text.

Used by the statement parser for everything that is Trino's own. Tokens come from the SQL library, so
that strings, quoted names and comments are told apart as they are when the rest is parsed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sqlglot.dialects.trino import Trino
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from sandbox.trino.errors import QueryFailure, located

Name = tuple[str, ...]


class _Tokenizer(Trino.Tokenizer):
    """Trino's tokens, one per word; the library swallows the rest of a SHOW or EXECUTE as one string."""

    COMMANDS: ClassVar[set[TokenType]] = set()
    KEYWORDS: ClassVar[dict[str, TokenType]] = {
        word: kind for word, kind in Trino.Tokenizer.KEYWORDS.items() if " " not in word
    }


class TokenCursor:
    """Reads the token list of one statement from left to right."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        try:
            self.tokens: Sequence[Token] = _Tokenizer(dialect=Trino()).tokenize(sql)
        except TokenError as error:
            raise QueryFailure("SYNTAX_ERROR", "line 1:1: unterminated or unrecognised token", (1, 1)) from error
        self.position = 0

    def peek(self, ahead: int = 0) -> Token | None:
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else None

    def word(self, ahead: int = 0) -> str:
        token = self.peek(ahead)
        return "" if token is None or token.token_type == TokenType.STRING else token.text.upper()

    def accept(self, *words: str) -> bool:
        if all(self.word(index) == word for index, word in enumerate(words)):
            self.position += len(words)
            return True
        return False

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.mismatch(f"'{' '.join(words)}'")

    def mismatch(self, expecting: str = "") -> QueryFailure:
        return mismatched(self.peek(), self.sql, expecting)

    def identifier(self) -> str:
        token = self.peek()
        if (
            token is None
            or token.token_type in (TokenType.STRING, TokenType.NUMBER)
            or not token.text[:1].strip("(),;.")
        ):
            raise self.mismatch("<identifier>")
        self.position += 1
        return token.text.lower()

    def name(self) -> Name:
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        return tuple(parts)

    def string(self) -> str:
        token = self.peek()
        if token is None or token.token_type != TokenType.STRING:
            raise self.mismatch("<string>")
        self.position += 1
        return token.text

    def rest(self) -> str:
        token = self.peek()
        return "" if token is None else self.sql[token.start :]

    def end(self) -> None:
        if self.peek() is not None:
            raise self.mismatch("<EOF>")


def mismatched(token: Token | None, sql: str, expecting: str = "") -> QueryFailure:
    """`line 1:8: mismatched input 'x'`, as the parser says it; columns count from 1."""
    if token is None:
        lines = sql.split("\n")
        place, text = (len(lines), len(lines[-1]) + 1), "<EOF>"
    else:
        place, text = place_at(sql, token.start), sql[token.start : token.end + 1]
    tail = f". Expecting: {expecting}" if expecting else ""
    return located("SYNTAX_ERROR", f"mismatched input '{text}'{tail}", place)


def place_at(sql: str, offset: int) -> tuple[int, int]:
    before = sql[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
