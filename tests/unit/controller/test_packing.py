"""Packed objects come back as they were, whatever was packed before them, and equal ones are equal bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.packing import Packing

json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(max_size=8), json, max_size=6)


@given(st.lists(objects, max_size=8))
def test_every_object_comes_back(several):
    packing = Packing()
    packed = [packing.pack(obj) for obj in several]
    assert [packing.unpack(one) for one in packed] == several


@given(objects)
def test_equal_objects_are_equal_bytes_and_others_are_not(obj):
    packing = Packing()
    packed = packing.pack(obj)
    assert packing.pack(dict(reversed(obj.items()))) == packed
    assert packing.pack({**obj, "one": "more"}) != packed or obj.get("one") == "more"


def test_what_is_longer_than_the_compressor_looks_back_is_packed_alone():
    packing = Packing()
    large, small = {"a": "x" * 40_000}, {"b": "y" * 100}
    packed = [packing.pack(large), packing.pack(small), packing.pack(small)]
    assert [packing.unpack(one) for one in packed] == [large, small, small]
    assert packing.pack(large) == packed[0]
    assert len(packed[2]) < 30 < len(small["b"])
