"""Request bodies: JSON, YAML, garbage and duplicates. No bytes make anything but a document or a 4xx."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import bodies
from sandbox.kube.errors import StatusError

TYPES = (
    "application/json",
    "application/yaml",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
    "",
)


@given(st.binary(max_size=60) | st.text("{}[]:,-&*\n \"'a1!", max_size=40).map(str.encode), st.sampled_from(TYPES))
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    try:
        bodies.decode(body, content_type)
    except StatusError as error:
        assert error.code in (400, 415)
    assert isinstance(bodies.duplicates(body, content_type), list)


def test_yaml_becomes_what_json_would_have_been() -> None:
    read = bodies.decode(b"a: 2020-01-01\nb: {1: x}\nc: &x [1]\nd: *x\n", "application/yaml")
    assert read == {"a": "2020-01-01", "b": {"1": "x"}, "c": [1], "d": [1]}


def test_depth_is_bounded() -> None:
    deep = b'{"a":' * 250 + b"1" + b"}" * 250
    with pytest.raises(StatusError, match="nested deeper"):
        bodies.decode(deep, "application/json")


def test_billion_laughs_do_not_laugh() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(StatusError) as caught:
        bodies.decode("\n".join(lines).encode(), "application/yaml")
    assert caught.value.code == 400


def test_duplicates_are_named_by_path() -> None:
    assert bodies.duplicates(b'{"a":{"b":1,"b":2},"l":[{"x":1,"x":2}],"a2":1}', "application/json") == ["a.b", "l[0].x"]
    assert bodies.duplicates(b"a: 1\nb: {c: 1, c: 2}\na: 2\n", "application/yaml") == ["b.c", "a"]
    assert bodies.duplicates(b"a: 1\n", "application/yaml") == []
