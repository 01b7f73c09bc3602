"""Compressed pages are read when it matters: at least once a second, at the query's end, and always when they may name
what has to be known at once. A page whose query is polled again was not the last one, so nobody has to read it."""

from __future__ import annotations

import gzip

import pytest

from tests.support.gateway_wire import GET, OK, POLL, POST, Bench, Peer, page, reply

POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\n\r\n".encode()


def packed(state: str, more: bool = True) -> bytes:
    return reply(gzip.compress(page(state=state, more=more)), b"Content-Encoding: gzip")


LAST = packed("FINISHED", more=False)


class Talk:
    """A client whose statement has been answered."""

    def __init__(self, post: bytes = POST, bench: Bench | None = None) -> None:
        self.bench = bench or Bench()
        self.client: Peer = self.bench.client()
        self.client.send(post)
        self.upstream = self.bench.accept() if not self.bench.upstreams else self.bench.upstreams[0]
        self.upstream.take()
        self.upstream.send(packed("QUEUED"))
        self.client.take()

    def poll(self, answer: bytes) -> None:
        self.client.send(POLL_GET)
        self.upstream.take()
        self.upstream.send(answer)
        assert self.client.take() == answer

    @property
    def live(self) -> dict[bytes, int]:
        return self.bench.live


def test_the_state_is_read_at_most_once_a_second() -> None:
    talk = Talk()
    talk.poll(packed("PLANNING"))
    assert talk.live == {b"PLANNING": 1}
    talk.poll(packed("RUNNING"))
    assert talk.live == {b"PLANNING": 1}
    talk.bench.time += 1.0
    talk.poll(packed("RUNNING"))
    assert talk.live == {b"RUNNING": 1}


def test_a_last_page_is_noticed_by_the_sweep() -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(LAST)
    assert talk.live == {b"RUNNING": 1}
    talk.bench.pass_time(1)
    assert talk.live == {}


def test_a_last_page_is_noticed_when_the_client_goes() -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(LAST)
    talk.client.reset()
    assert talk.live == {}


@pytest.mark.parametrize("request_", [GET, POST, POLL_GET.replace(b"_00001_", b"_00002_")])
def test_a_last_page_is_noticed_when_the_client_asks_for_something_else(request_: bytes) -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(LAST)
    talk.client.send(request_)
    assert talk.live == {}
    talk.upstream.send(OK)


def test_a_cancelled_query_is_gone_at_once() -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(packed("RUNNING"))
    talk.client.send(POLL_GET.replace(b"GET", b"DELETE"))
    talk.upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert talk.live == {}


def test_pages_that_may_name_segments_are_read_as_they_pass() -> None:
    talk = Talk(POST.replace(b"X-Trino-User: u", b"X-Trino-Query-Data-Encoding: json+zstd"))
    for state in ("PLANNING", "RUNNING", "FINISHING"):
        talk.poll(packed(state))
        assert talk.live == {state.encode(): 1}


def test_pages_of_a_query_that_began_elsewhere_are_read_as_they_pass() -> None:
    bench = Bench()
    bench.router.identified(bench.only_target, b"abcde")
    client = bench.client()
    client.send(POLL_GET)
    upstream = bench.accept()
    for state in ("PLANNING", "RUNNING", "FINISHING"):
        upstream.send(packed(state))
        assert bench.live == {state.encode(): 1}
        client.send(POLL_GET)


def test_what_is_no_page_changes_nothing() -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(reply(b"no gzip at all", b"Content-Encoding: gzip"))
    talk.bench.pass_time(2)
    assert talk.live == {b"RUNNING": 1}


def test_large_pages_are_not_kept() -> None:
    talk = Talk()
    talk.poll(packed("RUNNING"))
    body = gzip.compress(page(state="FINISHING", data=[["x" * 100_000]]), compresslevel=0)
    talk.poll(reply(body, b"Content-Encoding: gzip"))
    (client,) = talk.bench.clients
    assert client.unread is None


@pytest.mark.parametrize("when", ["swept", "gone", "busy"])
def test_a_query_that_ended_on_another_connection_is_not_found_alive_again(when: str) -> None:
    """Pools and proxies poll one query over many connections: a page of before its end may still be unread then."""
    talk = Talk()
    talk.poll(packed("RUNNING"))
    talk.poll(packed("RUNNING"))  # stays unread
    other = talk.bench.client()
    other.send(POLL_GET)
    talk.upstream.take()
    talk.bench.time += 1.0
    talk.upstream.send(LAST)
    assert other.take() == LAST
    assert talk.live == {}
    if when == "swept":
        talk.bench.pass_time(2)
    elif when == "gone":
        talk.client.reset()
    else:
        talk.client.send(GET)
        talk.upstream.send(OK)
    assert talk.live == {}
