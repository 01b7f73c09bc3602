"""Which coordinator made a query: by the suffix of its id; ended coordinators are told from unknown ones."""

from __future__ import annotations

from gateway.routing.ownership import Absent, Owners
from tests.support.routing import target

QUERY = b"20261120_101500_00007_abcde"
LATER = b"20261120_101501_00008_abcde"


def test_one_answer_teaches_all_queries_of_that_coordinator() -> None:
    owners, one = Owners(), target()
    owners.learn(QUERY, one)
    assert owners.find(LATER, 0.0) is one


def test_probe_teaches_before_any_query_was_seen() -> None:
    owners, one = Owners(), target()
    owners.identify(one, b"abcde")
    assert owners.find(QUERY, 0.0) is one


def test_unknown_suffix_is_told_from_a_gone_one() -> None:
    owners, one = Owners(), target()
    assert owners.find(QUERY, 0.0) is Absent.UNKNOWN
    owners.identify(one, b"abcde")
    owners.retire(one)
    assert owners.find(QUERY, 0.0) is Absent.GONE


def test_restarted_coordinator_buries_its_former_self() -> None:
    owners, one = Owners(), target()
    owners.identify(one, b"abcde")
    owners.identify(one, b"fghij")
    assert owners.find(QUERY, 0.0) is Absent.GONE
    assert owners.find(b"20261120_101500_00007_fghij", 0.0) is one


def test_fruitless_search_is_not_repeated_at_once() -> None:
    owners = Owners(retry_after=2.0)
    owners.missed(QUERY, 10.0)
    assert owners.find(QUERY, 11.9) is Absent.NOT_FOUND
    assert owners.find(QUERY, 12.1) is Absent.UNKNOWN


def test_two_coordinators_with_one_suffix_keep_their_own_queries() -> None:
    owners, first, second = Owners(), target("a"), target("b", ip="127.0.0.2")
    owners.learn(QUERY, first)
    owners.learn(LATER, second)
    assert owners.find(QUERY, 0.0) is first
    assert owners.find(LATER, 0.0) is second
    owners.retire(second)
    assert owners.find(QUERY, 0.0) is first


def test_memory_of_ended_processes_is_bounded() -> None:
    owners = Owners(tombstones=2)
    for number in range(3):
        one = target(ip=f"127.0.0.{number}")
        owners.identify(one, b"aaaa%d" % number)
        owners.retire(one)
    assert owners.find(b"20261120_101500_00007_aaaa0", 0.0) is Absent.UNKNOWN
    assert owners.find(b"20261120_101500_00007_aaaa2", 0.0) is Absent.GONE
