"""The work queue: one handling per key at a time, coalescing, timers, back-off, orderly close."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.workqueue import QueueClosed, WorkQueue


async def test_a_key_added_twice_is_handed_out_once():
    queue = WorkQueue[str]()
    queue.add("a")
    queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_in_work_is_not_handed_out_again_until_done():
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add("a")
    second = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not second.done()
    queue.done("a")
    assert await second == "a"


async def test_a_key_not_added_while_in_work_is_finished_by_done():
    queue = WorkQueue[str]()
    queue.add("a")
    queue.done(await queue.get())
    assert (len(queue), queue.processing) == (0, 0)


async def test_of_two_pending_times_the_earliest_wins():
    queue = WorkQueue[str]()
    queue.add_after("a", 60)
    queue.add_after("a", 0.002)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    assert queue.delayed == 0


async def test_handing_a_key_out_drops_its_timer():
    queue = WorkQueue[str]()
    queue.add_after("a", 60)
    queue.add("a")
    await queue.get()
    assert queue.delayed == 0


async def test_far_timers_of_a_key_that_is_looked_at_often_do_not_pile_up():
    queue = WorkQueue[str]()
    for _ in range(10_000):
        queue.add("a")
        queue.done(await queue.get())
        queue.add_after("a", 86_400)
    assert queue.delayed == 1
    assert len(queue._heap) < 200


async def test_timers_that_were_tidied_up_still_fire_in_their_order():
    queue = WorkQueue[int]()
    for key in range(300):
        for delay in (60.0, 50.0, 0.001 + key * 1e-6):
            queue.add_after(key, delay)
    assert [await asyncio.wait_for(queue.get(), 1) for _ in range(300)] == list(range(300))


async def test_a_timer_set_while_in_work_survives_done():
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.add_after("a", 0.001)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 1) == "a"


async def test_back_off_doubles_up_to_its_cap_and_forget_resets_it():
    queue = WorkQueue[str](base_delay=1.0, max_delay=5.0)
    delays = [queue.retry("a") for _ in range(5)]
    assert delays == [1.0, 2.0, 4.0, 5.0, 5.0]
    queue.forget("a")
    assert queue.retry("a") == 1.0


async def test_a_failure_that_is_nobodys_fault_waits_no_longer_than_asked():
    queue = WorkQueue[str](base_delay=1.0, max_delay=500.0)
    assert [queue.retry("a", 3.0) for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]


async def test_close_hands_out_what_is_ready_and_then_ends_every_waiter():
    queue = WorkQueue[str]()
    queue.add("a")
    queue.add_after("b", 60)
    queue.close()
    assert await queue.get() == "a"
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_close_wakes_workers_that_wait():
    queue = WorkQueue[str]()
    waiters = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(r) for r in results] == [QueueClosed] * 3


async def test_a_cancelled_waiter_passes_its_wake_up_on():
    queue = WorkQueue[str]()
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3)), max_size=60))
def test_no_key_is_lost_or_handled_twice_at_once(steps):
    async def run() -> None:
        queue = WorkQueue[int]()
        working: list[int] = []
        wanted: set[int] = set()
        for action, key in steps:
            if action == "add":
                queue.add(key)
                wanted.add(key)
            elif action == "get" and len(queue):
                got = await queue.get()
                assert got not in working
                working.append(got)
                wanted.discard(got)
            elif action == "done" and working:
                queue.done(working.pop(0))
        for key in working:
            queue.done(key)
        while len(queue):
            wanted.discard(await queue.get())
        assert not wanted

    asyncio.run(run())
