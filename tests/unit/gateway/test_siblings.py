"""What workers tell each other: messages that survive the wire and nothing else does; counts that are right in sum."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing.model import Target
from gateway.routing.router import Router
from gateway.siblings import Channel, Moved, Pinned, decode, encode, socket_path
from tests.support.routing import backend, route, router

QUERY = b"20261120_101500_00007_abcde"


def test_messages_come_out_as_they_went_in() -> None:
    for message in (
        Moved(QUERY),
        Pinned(b"transaction:a b\x00\xff", "team/a", "10.0.0.1", 8080),
        Pinned(b"x", "t/a", "::1", 1),
    ):
        assert decode(encode(message)) == message


@given(st.one_of(st.binary(max_size=80), st.builds(lambda rest: b"pinned " + rest, st.binary(max_size=80))))
def test_any_datagram_is_a_message_or_none(data: bytes) -> None:
    message = decode(data)
    assert message is None or decode(encode(message)) == message


class Pair:
    """Two workers of one gateway, each with its router, in a private folder."""

    def __init__(self, directory: Path) -> None:
        self.routers = [router(route(backend("a"))) for _ in range(2)]
        self.channels = [Channel(one, directory, index, 2, lambda: 0.0) for index, one in enumerate(self.routers)]

    def __enter__(self) -> Pair:
        for channel in self.channels:
            channel.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for channel in self.channels:
            channel.__exit__()

    def target(self, worker: int) -> Target:
        (found,) = self.routers[worker].targets()
        return found

    def post(self, worker: int) -> None:
        self.routers[worker].submitted(QUERY, self.target(worker))
        self.poll(worker)

    def poll(self, worker: int, done: bool = False) -> None:
        self.routers[worker].query_seen(self.target(worker), QUERY, b"RUNNING", done, 0.0)

    async def counts(self) -> list[int]:
        await asyncio.sleep(0.01)
        return [len(one.activity) for one in self.routers]


async def test_a_query_is_counted_by_the_worker_that_saw_it_last(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.post(0)
        assert await pair.counts() == [1, 0]
        pair.poll(1)
        assert await pair.counts() == [0, 1]
        pair.poll(0)
        assert await pair.counts() == [1, 0]
        pair.poll(1, done=True)
        assert await pair.counts() == [0, 0]


async def test_a_query_that_stays_costs_no_message(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.channels[0]._others = []
        told: list[bytes] = []
        pair.routers[0].activity.arrived = told.append
        pair.post(0)
        pair.poll(0)
        pair.poll(0, done=True)
        assert told == []


async def test_a_query_whose_owner_had_to_be_searched_is_counted_once(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.post(0)
        pair.routers[1].learned(QUERY, pair.target(1))
        pair.poll(1)
        assert await pair.counts() == [0, 1]


async def test_a_pin_of_one_worker_is_known_to_the_other(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.routers[0].pin(b"transaction:t-1", pair.target(0), 0.0)
        await pair.counts()
        assert pair.routers[1].pinned(b"transaction:t-1", 1.0) is pair.target(1)


async def test_a_sibling_that_is_away_harms_nobody(tmp_path: Path) -> None:
    alone = router(route(backend("a")))
    (target,) = alone.targets()
    with Channel(alone, tmp_path, 0, 3, lambda: 0.0):
        alone.query_seen(target, QUERY, b"RUNNING", False, 0.0)
        alone.pin(b"x", target, 0.0)
    assert not socket_path(tmp_path, 0).exists()
    assert isinstance(alone, Router)
