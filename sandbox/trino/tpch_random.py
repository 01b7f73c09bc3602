"""The random streams of the TPC-H specification's data generator.

One Lehmer stream per column; a row uses a fixed number of draws, whatever it consumed, so that every
column can be computed on its own. Comments are cut out of a text pool: the specification's is 300 MB
and takes a minute to make in Python, ours is made by the same grammar but small, so the lengths of
comments are exact and their words are not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from sandbox.trino import tpch_words as words

_MULTIPLIER = 16807
_MODULUS = 2147483647
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ,"
_INT_RANGE = -2147483648.0
_LOW, _HIGH = 0.4, 1.6
_POOL_SEED = 933588178
_POOL_SIZE = 1 << 18
_SPECIFIED_POOL_SIZE = 300 * 1024 * 1024


class Stream:
    """A column's stream; `per_row` draws belong to each row."""

    __slots__ = ("per_row", "seed", "used")

    def __init__(self, seed: int, per_row: int = 1) -> None:
        self.seed = seed
        self.per_row = per_row
        self.used = 0

    def fraction(self) -> float:
        self.seed = self.seed * _MULTIPLIER % _MODULUS
        self.used += 1
        return self.seed / _MODULUS

    def between(self, low: int, high: int) -> int:
        self.seed = self.seed * _MULTIPLIER % _MODULUS
        self.used += 1
        return low + int(self.seed / _MODULUS * (high - low + 1))

    def choice(self, values: Sequence[str]) -> str:
        return values[self.between(0, len(values) - 1)]

    def row_finished(self) -> None:
        """Skip the draws that this row did not need."""
        for _ in range(self.per_row - self.used):
            self.seed = self.seed * _MULTIPLIER % _MODULUS
        self.used = 0

    def bits(self) -> int:
        """A draw over the whole int range, whose width overflows to the negative in the reference generator."""
        return int(self.fraction() * _INT_RANGE)


def weighted(stream: Stream, distribution: tuple[tuple[str, ...], tuple[int, ...]]) -> str:
    values, cumulative = distribution
    return values[bisect_right(cumulative, stream.between(0, cumulative[-1] - 1))]


def alphanumeric(stream: Stream, average: int) -> str:
    """An address; nine draws per row."""
    length = stream.between(int(average * _LOW), int(average * _HIGH))
    result = []
    bits = 0
    for position in range(length):
        if position % 5 == 0:
            bits = stream.bits()
        result.append(_ALPHABET[bits & 0x3F])
        bits >>= 6
    return "".join(result)


def phone(stream: Stream, nation: int) -> str:
    """Three draws per row."""
    return (
        f"{10 + nation % 90:02d}-{stream.between(100, 999):03d}-"
        f"{stream.between(100, 999):03d}-{stream.between(1000, 9999):04d}"
    )


def comment(stream: Stream, average: int) -> str:
    """Two draws per text."""
    shortest, longest = int(average * _LOW), int(average * _HIGH)
    pool = text_pool()
    place = stream.between(0, _SPECIFIED_POOL_SIZE - longest)
    length = stream.between(shortest, longest)
    offset = place % (len(pool) - longest)
    return pool[offset : offset + length]


@cache
def text_pool() -> str:
    stream = Stream(_POOL_SEED)
    parts: list[str] = []
    size = 0
    while size < _POOL_SIZE:
        sentence = _sentence(stream)
        parts.append(sentence)
        size += len(sentence)
    return "".join(parts)[:_POOL_SIZE]


def _sentence(stream: Stream) -> str:
    text = ""
    for symbol in weighted(stream, words.GRAMMAR).split():
        if symbol == "T":
            text = text.rstrip() + weighted(stream, words.TERMINATORS)
        elif symbol == "V":
            text += _phrase(stream, weighted(stream, words.VERB_PHRASE), _VERB_SYMBOLS)
        elif symbol == "N":
            text += _phrase(stream, weighted(stream, words.NOUN_PHRASE), _NOUN_SYMBOLS)
        else:
            text += weighted(stream, words.PREPOSITIONS) + " the "
            text += _phrase(stream, weighted(stream, words.NOUN_PHRASE), _NOUN_SYMBOLS)
    return text + " "


_VERB_SYMBOLS = {"D": words.ADVERBS, "V": words.VERBS, "X": words.AUXILIARIES}
_NOUN_SYMBOLS = {"J": words.ADJECTIVES, "D": words.ADVERBS, "N": words.NOUNS}


def _phrase(stream: Stream, syntax: str, symbols: dict[str, tuple[tuple[str, ...], tuple[int, ...]]]) -> str:
    text = ""
    for symbol in syntax.split():
        text += weighted(stream, symbols[symbol[0]]) + (", " if symbol.endswith(",") else " ")
    return text
