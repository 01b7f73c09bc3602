"""Properties files: what is written is what Java reads, a key stands once, and users' lines merge by key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.render.properties import merge, parse_lines, write_properties


def java_load(text: str) -> dict[str, str]:
    """java.util.Properties.load, written from its specification, for the escapes that matter."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        if not line:
            continue
        key: list[str] = []
        value: list[str] = []
        target, chars = key, iter(line)
        for char in chars:
            if char == "\\":
                escaped = next(chars)
                if escaped == "u":
                    target.append(chr(int("".join(next(chars) for _ in range(4)), 16)))
                else:
                    target.append({"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(escaped, escaped))
            elif target is key and char in "=:":
                target = value
            else:
                assert target is value or char != " "
                target.append(char)
        joined = [
            "".join(part).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") for part in (key, value)
        ]
        assert joined[0] not in found
        found[joined[0]] = joined[1]
    return found


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=5))
def test_java_reads_back_what_was_written(properties):
    text = write_properties(properties)
    assert text.isascii()
    assert java_load(text) == properties


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.text(max_size=8), min_size=1, max_size=4))
def test_a_value_never_becomes_another_line(properties):
    assert write_properties(properties).count("\n") == len(properties)


def test_users_lines_are_read_as_people_write_them():
    lines = ["# comment", "a=1", " b = two words ", "c: 3", "", "d", "e=x=y\nf=6"]
    assert parse_lines(lines) == {"a": "1", "b": "two words", "c": "3", "d": "", "e": "x=y", "f": "6"}


def test_a_key_that_a_user_repeats_stands_once_with_the_users_value():
    merged = merge({"a": "1", "b": "2"}, {"a": "9"})
    assert list(merged.items()) == [("a", "9"), ("b", "2")]


@given(st.lists(st.text(max_size=20), max_size=4))
def test_any_lines_can_be_read(lines):
    assert all(isinstance(value, str) for value in parse_lines(lines).values())
