"""The generator with a fixed schedule: when requests are due, and when a response is whole."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gateway.paced import complete, drive, due_at
from bench.gateway.workloads import poll_request

RESPONSE = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"


def test_schedule_does_not_drift() -> None:
    assert due_at(1_000, 3_000_000, 3_000.0) == 1_000 + 1_000 * 10**9


@given(st.integers(0, 10**6), st.floats(1, 1e6))
def test_requests_are_due_in_order(number: int, rate: float) -> None:
    assert due_at(0, number, rate) <= due_at(0, number + 1, rate)


@given(st.integers(0, len(RESPONSE)))
def test_a_response_is_whole_at_its_last_byte(length: int) -> None:
    assert complete(RESPONSE[:length]) is (length == len(RESPONSE))


@pytest.mark.parametrize("response", [b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nx"])
def test_what_is_no_good_answer_is_none(response: bytes) -> None:
    assert complete(response) is None


@given(st.binary())
def test_any_bytes_are_judged(received: bytes) -> None:
    assert complete(received) in {True, False, None}


class Upstream(socketserver.BaseRequestHandler):
    """Answers requests that come one at a time."""

    def handle(self) -> None:
        while self.request.recv(65536):
            self.request.sendall(RESPONSE)


@pytest.fixture
def upstream() -> Iterator[int]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Upstream) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            serving.join()


def test_everything_that_is_due_is_sent_and_timed(upstream: int) -> None:
    outcome = drive(upstream, 1000.0, 0.1, 4, [b"GET / HTTP/1.1\r\n\r\n"])
    assert (outcome.sent, len(outcome.latencies), outcome.failed) == (100, 100, 0)
    assert min(outcome.latencies) > 0


def test_a_request_without_a_free_connection_waits_and_its_wait_counts(upstream: int) -> None:
    # All are due in the first microsecond, and one connection serves them one after the other.
    outcome = drive(upstream, 1e8, 1e-6, 1, [b"GET / HTTP/1.1\r\n\r\n"])
    assert (outcome.sent, outcome.failed) == (100, 0)
    # Counted from when each was due, so the later ones contain the earlier ones.
    assert outcome.latencies == sorted(outcome.latencies)


def test_polls_name_different_queries() -> None:
    assert len({poll_request(number) for number in range(1, 101)}) == 100
