"""Java properties: separators, comments, continuation, escapes; and that any text survives a round trip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.properties import MalformedProperties, escape_key, escape_value, parse_properties


def pairs(text: str) -> list[tuple[str, str]]:
    return [(entry.key, entry.value) for entry in parse_properties(text.encode())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", [("a", "b")]),
        ("a = b c ", [("a", "b c ")]),
        ("a:b", [("a", "b")]),
        ("a b", [("a", "b")]),
        ("a", [("a", "")]),
        ("a==b", [("a", "=b")]),
        ("# c\n! d\n\n  a=b", [("a", "b")]),
        ("a=b\\\n   c", [("a", "bc")]),
        ("a=b\\\\\nc=d", [("a", "b\\"), ("c", "d")]),
        ("# comment \\\na=b", [("a", "b")]),
        ("a\\ b\\=c=d", [("a b=c", "d")]),
        ("a=\\t\\n\\u00e9\\q", [("a", "\t\né" + "q")]),
        ("a=1\r\nb=2\rc=3", [("a", "1"), ("b", "2"), ("c", "3")]),
        ("a=\\ud83d\\ude00", [("a", "😀")]),
        ("a=x\\", [("a", "x")]),
    ],
)
def test_the_syntax_is_that_of_java(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(text) == expected


def test_duplicates_are_kept_with_their_lines() -> None:
    found = parse_properties(b"a=1\n\n# x\na=2\n")
    assert [(entry.key, entry.value, entry.line) for entry in found] == [("a", "1", 1), ("a", "2", 4)]


@pytest.mark.parametrize("data", [b"a=\\u12", b"a=\\u12zz", b"\xff=1"])
def test_what_is_not_a_properties_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedProperties):
        parse_properties(data)


words = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)


@given(st.lists(st.tuples(words, words), max_size=8))
def test_escaped_text_comes_back_as_it_was(entries: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{escape_key(key)}={escape_value(value)}" for key, value in entries)
    assert pairs(text) == entries


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    try:
        found = parse_properties(data)
    except MalformedProperties:
        return
    assert all(entry.line >= 1 for entry in found)
