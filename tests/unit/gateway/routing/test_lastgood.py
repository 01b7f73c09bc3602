"""A table that lost most of its backends at once is kept out until the story has held for the grace time."""

from __future__ import annotations

import pytest

from gateway.routing.lastgood import judge
from gateway.routing.model import RouteTable
from tests.support.routing import backend, route


def table(*names: str) -> RouteTable:
    return RouteTable.of(tuple(route(backend(name), name=name) for name in names))


@pytest.mark.parametrize(
    ("before", "after", "accepted"),
    [
        ("abcd", "abc", True),
        ("abcd", "ab", True),
        ("abcd", "a", False),
        ("abc", "a", True),
        ("a", "", False),
        ("abcd", "efgh", False),
        ("", "", True),
        ("abcd", "abcdef", True),
    ],
)
def test_mass_disappearance_is_refused(before: str, after: str, accepted: bool) -> None:
    assert judge(table(*before), table(*after), suspected_for=0.0).accept is accepted


def test_first_table_is_taken_whatever_it_holds() -> None:
    assert judge(None, table(), suspected_for=0.0).accept


def test_story_that_holds_is_believed_in_the_end() -> None:
    assert judge(table(*"abcd"), table(), suspected_for=300.0).accept


def test_refusal_says_how_many_went_missing() -> None:
    assert "3 of 4" in judge(table(*"abcd"), table("a"), suspected_for=0.0).reason


@pytest.mark.parametrize(("before", "accepted"), [("a", True), ("abc", True), ("abcd", False)])
def test_an_empty_table_that_is_meant_is_believed_after_a_small_one(before: str, accepted: bool) -> None:
    assert judge(table(*before), table(), suspected_for=0.0, meant=True).accept is accepted


def test_meaning_it_is_no_excuse_for_losing_most_of_many() -> None:
    assert not judge(table(*"abcd"), table("a"), suspected_for=0.0, meant=True).accept
