"""Who may say where a request came from, and what the coordinator is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http1.forwarded import TrustedProxies, origin_of
from gateway.http1.request import RequestHead, parse_request_headers


def test_a_client_is_described_by_what_we_saw() -> None:
    origin = origin_of(b"gw:8080", b"http", b"9999", b"10.0.0.7", None, False)
    assert origin.lines == (
        b"X-Forwarded-For: 10.0.0.7\r\nX-Forwarded-Host: gw:8080\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n"
    )
    assert origin.base == b"http://gw:8080"


@pytest.mark.parametrize(
    ("host", "proto", "port", "base"),
    [
        (b"gw", b"http", b"80", b"http://gw"),
        (b"gw", b"https", b"443", b"https://gw"),
        (b"[::1]:8443", b"https", b"8443", b"https://[::1]:8443"),
        (b"[::1]", b"http", b"80", b"http://[::1]"),
    ],
)
def test_the_port_is_the_one_in_the_clients_url(host: bytes, proto: bytes, port: bytes, base: bytes) -> None:
    origin = origin_of(host, proto, b"9999", b"p", None, False)
    assert b"X-Forwarded-Port: " + port + b"\r\n" in origin.lines
    assert origin.base == base


FROM_PROXY = [
    b"X-Forwarded-For: 1.1.1.1, 2.2.2.2",
    b"x-forwarded-for: 3.3.3.3",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: trino.example.com",
    b"Forwarded: for=6.6.6.6;host=evil",
]


def test_values_from_anyone_else_are_overwritten() -> None:
    lines = origin_of(b"gw:1", b"http", b"1", b"9.9.9.9", FROM_PROXY, False).lines
    assert lines == origin_of(b"gw:1", b"http", b"1", b"9.9.9.9", None, False).lines


def test_a_trusted_proxy_is_believed_and_our_hop_is_added() -> None:
    origin = origin_of(b"gw:1", b"http", b"1", b"9.9.9.9", FROM_PROXY, True)
    assert origin.lines == (
        b"X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 9.9.9.9\r\nX-Forwarded-Host: trino.example.com\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n"
    )
    assert origin.base == b"https://trino.example.com"


def test_a_trusted_proxys_port_and_prefix_are_kept() -> None:
    given_lines = [b"X-Forwarded-Port: 8443", b"X-Forwarded-Proto: https", b"X-Forwarded-Prefix: team-a"]
    origin = origin_of(b"gw", b"http", b"1", b"p", given_lines, True)
    assert origin.base == b"https://gw:8443"
    assert origin.lines.endswith(b"X-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: team-a\r\n")


@pytest.mark.parametrize("value", [b"ftp", b"https://", b""])
def test_nonsense_from_a_trusted_proxy_is_not_passed_on(value: bytes) -> None:
    lines = origin_of(b"gw", b"http", b"80", b"p", [b"X-Forwarded-Proto: " + value], True).lines
    assert b"X-Forwarded-Proto: http\r\n" in lines


def test_trusted_proxies_are_networks() -> None:
    trusted = TrustedProxies(["10.0.0.0/8", "fd00::/8", "192.168.1.4"])
    assert [
        peer
        for peer in (b"10.1.2.3", b"11.0.0.1", b"fd00::1", b"192.168.1.4", b"::ffff:10.0.0.1", b"", b"x")
        if trusted.trusts(peer)
    ] == [
        b"10.1.2.3",
        b"fd00::1",
        b"192.168.1.4",
        b"::ffff:10.0.0.1",
    ]
    assert not TrustedProxies().trusts(b"127.0.0.1")


@given(st.lists(st.binary(max_size=30), max_size=4), st.booleans())
def test_whatever_came_the_result_is_a_block_of_well_formed_lines(values: list[bytes], trusted: bool) -> None:
    names = [b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Proto", b"X-Forwarded-Port"]
    lines = [name + b": " + value for name, value in zip(names, values, strict=False)]
    head = parse_request_headers(b"".join(line + b"\r\n" for line in [b"Host: a", *lines]) + b"\r\n", 20)
    if isinstance(head, RequestHead):
        block = origin_of(b"a", b"http", b"80", b"p", head.forwarded, trusted).lines + b"\r\n"
        again = parse_request_headers(b"Host: a\r\n" + block, 20)
        assert isinstance(again, RequestHead)
        assert again.forwarded is not None
        assert len(again.forwarded) == 4
