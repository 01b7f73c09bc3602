"""Fault rules: parsing of the flag and of the admin document, and which rule a request meets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.faults import Fault, Faults, InvalidFault, fault_from_document, parse_fault


def test_a_flag_gives_a_rule() -> None:
    assert parse_fault("status,value=500,probability=0.25,count=3,path=/v1/info,method=GET") == Fault(
        "status", "/v1/info", "GET", 0.25, 3, 1.0, 500
    )
    assert parse_fault("reset") == Fault("reset")


@pytest.mark.parametrize(
    "text", ["", "nope", "status,value", "status,value=x", "status,colour=red", "delay,probability=2"]
)
def test_a_bad_flag_is_refused(text: str) -> None:
    with pytest.raises(InvalidFault):
        parse_fault(text)


def test_a_rule_applies_to_its_path_and_method_and_as_often_as_it_says() -> None:
    faults = Faults([Fault("reset", method="GET", count=2), Fault("hang", path="/v1/info")])
    assert faults.choose("POST", "/v1/statement") is None
    found = [faults.choose("GET", "/v1/statement/x") for _ in range(3)]
    assert [rule.kind if rule else None for rule in found] == ["reset", "reset", None]
    chosen = faults.choose("GET", "/v1/info")
    assert chosen is not None
    assert chosen.kind == "hang"


def test_probabilities_are_kept_to_with_a_seed() -> None:
    faults = Faults([Fault("reset", probability=0.3)], random.Random(1))
    hits = sum(faults.choose("GET", "/v1/statement") is not None for _ in range(1000))
    assert 250 < hits < 350


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=8), inner)
    )
)
def test_any_document_is_a_rule_or_refused(document: object) -> None:
    with pytest.raises(InvalidFault):
        fault_from_document(document)


def test_a_rule_survives_the_admin_document() -> None:
    rule = Fault("stall", seconds=2.5, count=1)
    assert fault_from_document(rule.document()) == rule
