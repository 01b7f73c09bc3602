"""Properties files: what is written is read back, and no value becomes a second line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.properties import parse, render

texts = st.text(st.characters(codec="utf-8"), max_size=40)


@given(st.dictionaries(texts.filter(bool), texts, max_size=6))
def test_every_mapping_survives_writing_and_reading(properties):
    assert parse(render(properties)) == properties


@given(texts.filter(bool), texts)
def test_one_property_is_one_line(key, value):
    assert len(render({key: value}).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a=b", {"a": "b"}),
        (" a : b c ", {"a": "b c "}),
        ("a b", {"a": "b"}),
        ("a", {"a": ""}),
        ("# a=b\n! c=d\n\n", {}),
        ("a=b\\\n   c", {"a": "bc"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a=\\u0041\\t", {"a": "A\t"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=b\r\nc=d\re=f", {"a": "b", "c": "d", "e": "f"}),
        ("a=c:\\\\x", {"a": "c:\\x"}),
        ("url=jdbc:x?y=z#w", {"url": "jdbc:x?y=z#w"}),
    ],
)
def test_what_people_write_is_understood(text, read):
    assert parse(text) == read


@pytest.mark.parametrize("text", ["müller", "ł", "日本", "🦆", "a\u2028b", "\x85"])
def test_a_file_is_the_same_in_every_encoding(text):
    """Trino reads its files as Latin-1."""
    written = render({text: text})
    assert written.isascii()
    assert parse(written) == {text: text}


def test_half_a_character_is_none():
    assert parse("a=\\ud83e") == {"a": "\ufffd"}


def test_a_list_of_lines_is_a_file():
    assert parse(["a=1", "b=2"]) == {"a": "1", "b": "2"}


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text):
    assert isinstance(parse(text), dict)
