"""Sets of field paths: the fieldsV1 notation round-trips, garbage is refused, paths read well."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import fields

names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
elements = st.one_of(
    names.map(fields.field),
    st.dictionaries(names, st.one_of(names, st.integers(0, 99)), min_size=1, max_size=2).map(fields.item),
    st.one_of(names, st.integers(0, 9)).map(fields.value),
)
paths = st.lists(elements, min_size=1, max_size=4).map(tuple)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=6), below, max_size=3),
    max_leaves=12,
)


@given(st.frozensets(paths, max_size=12))
def test_a_set_survives_its_notation(owned: fields.FieldSet) -> None:
    assert fields.decode(fields.encode(owned)) == owned


@given(json_values)
def test_any_document_is_read_or_refused(document: Any) -> None:
    try:
        read = fields.decode(document)
    except fields.BadFields:
        return
    assert fields.decode(fields.encode(read)) == read


def test_the_notation_marks_members_that_have_members_below() -> None:
    owned = frozenset({("f:a",), ("f:a", "f:b"), ("f:c",)})
    assert fields.encode(owned) == {"f:a": {".": {}, "f:b": {}}, "f:c": {}}


@pytest.mark.parametrize(
    "document", [[], "x", {"f:a": 1}, {"z:a": {}}, {"plain": {}}, {"k:no json": {}}, {"k:[1]": {}}]
)
def test_what_is_no_field_set_is_refused(document: Any) -> None:
    with pytest.raises(fields.BadFields):
        fields.decode(document)


def test_paths_are_listed_level_by_level() -> None:
    given = [("f:b",), ("f:a", "f:z"), ("f:a", "f:y", "f:x"), ("f:c",)]
    assert fields.ordered(given) == [("f:b",), ("f:c",), ("f:a", "f:z"), ("f:a", "f:y", "f:x")]


def test_paths_are_shown_as_people_write_them() -> None:
    assert fields.show(("f:spec", "f:list", 'k:{"name":"a","port":80}', "f:x")) == '.spec.list[name="a",port=80].x'
    assert fields.show(("f:finalizers", 'v:"a/b"')) == '.finalizers[="a/b"]'
    assert fields.show(("f:list", "i:0")) == ".list[0]"
