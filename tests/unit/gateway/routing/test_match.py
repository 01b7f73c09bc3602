"""Which route a new statement belongs to: host, then selector, then default; an unknown selector is refused."""

from __future__ import annotations

import pytest

from gateway.routing.match import match, normalised_host
from gateway.routing.model import Refusal, RefusalKind, RouteTable
from tests.support.routing import backend, route

BY_HOST = route(backend("a"), name="host", hostnames=(b"a.example.com",))
BY_HEADER = route(backend("b"), name="header", selectors=(b"team/b", b"legacy"))
DEFAULT = route(backend("c"), name="default", default=True)
TABLE = RouteTable.of((BY_HOST, BY_HEADER, DEFAULT))


@pytest.mark.parametrize("host", [b"a.example.com", b"A.Example.COM", b"a.example.com:8443", b"a.example.com."])
def test_hostname_matches_whatever_its_case_and_port(host: bytes) -> None:
    assert match(TABLE, host, None) is BY_HOST


def test_hostname_wins_over_the_selector() -> None:
    assert match(TABLE, b"a.example.com", b"team/b") is BY_HOST


def test_unknown_hostname_falls_through_to_the_selector() -> None:
    assert match(TABLE, b"10.0.0.1:8080", b"legacy") is BY_HEADER


def test_no_selector_leads_to_the_default() -> None:
    assert match(TABLE, b"anything", None) is DEFAULT


@pytest.mark.parametrize("selector", [b"team/x", b"", b"TEAM/B", b"team/b "])
def test_unknown_selector_is_refused_and_never_the_default(selector: bytes) -> None:
    refused = match(TABLE, b"anything", selector)
    assert isinstance(refused, Refusal)
    assert refused.kind is RefusalKind.UNKNOWN_SELECTOR


def test_without_a_default_the_refusal_says_what_to_send() -> None:
    refused = match(RouteTable.of((BY_HEADER,)), b"anything", None)
    assert isinstance(refused, Refusal)
    assert refused.kind is RefusalKind.NO_ROUTE
    assert "X-Trino-XTrinode" in refused.message


def test_of_two_routes_that_claim_one_selector_the_first_keeps_it() -> None:
    second = route(backend("d"), name="later", selectors=(b"legacy",), default=True)
    table = RouteTable.of((BY_HEADER, DEFAULT, second))
    assert match(table, b"", b"legacy") is BY_HEADER
    assert match(table, b"", None) is DEFAULT


def test_ipv6_literal_keeps_its_brackets() -> None:
    assert normalised_host(b"[::1]:8080") == b"[::1]"
