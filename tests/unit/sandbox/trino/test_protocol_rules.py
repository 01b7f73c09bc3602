"""The pure rules of the protocol: tokens, slugs, query ids, outer addresses, node states, internal tokens."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.trino.announcer import address_of, parse_hosts
from sandbox.trino.external_uri import external_uri, refused_header
from sandbox.trino.internal_authentication import token, verify
from sandbox.trino.node_state import NodeState, RefusedTransition, check_transition
from sandbox.trino.nodes import FORGOTTEN_AFTER, INACTIVE_AFTER, Node, NodeInventory
from sandbox.trino.query_ids import ALPHABET, Context, QueryIdGenerator, Slug, is_query_id, new_coordinator_id
from sandbox.trino.tokens import QueuedTokens, ResultTokens, TokenGone, TokenUnknown

NOON = datetime(2026, 1, 31, 12, 30, 45, tzinfo=UTC)


# Tokens


def test_a_queued_page_is_repeated_or_followed_by_the_next() -> None:
    tokens = QueuedTokens()
    for wanted in (0, 0, 1, 1, 2):
        tokens.advance(wanted)
    for wrong in (0, 1, 4):
        with pytest.raises(TokenGone):
            tokens.advance(wrong)


def test_a_result_page_comes_back_as_it_was_and_no_other() -> None:
    tokens = ResultTokens()
    assert tokens.repeated(0) is None
    tokens.answered(0, b"first", more=True)
    assert tokens.repeated(0) == b"first"
    assert tokens.repeated(1) is None
    with pytest.raises(TokenUnknown):
        tokens.repeated(2)
    tokens.answered(1, b"last", more=False)
    assert tokens.repeated(1) == b"last"
    with pytest.raises(TokenGone):
        tokens.repeated(0)
    with pytest.raises(TokenUnknown):
        tokens.repeated(2)


@given(st.lists(st.integers(0, 12), max_size=40))
def test_whatever_is_asked_pages_come_in_order_and_only_the_last_can_be_repeated(asked: list[int]) -> None:
    tokens = ResultTokens()
    served: list[int] = []
    for wanted in asked:
        try:
            page = tokens.repeated(wanted)
        except TokenGone:
            assert wanted < tokens.last
            continue
        except TokenUnknown:
            assert wanted > tokens.last + (tokens.next is not None)
            continue
        if page is not None:
            assert page == served[-1]
            continue
        served.append(wanted)
        tokens.answered(wanted, wanted, more=wanted < 5)
    assert served == list(range(len(served)))


# Slugs and ids


def test_a_slug_is_good_for_one_phase_and_one_token() -> None:
    slug = Slug()
    made = slug.make(Context.QUEUED, 1)
    assert made.startswith("y")
    assert len(made) == 41
    assert slug.is_valid(made, Context.QUEUED, 1)
    assert not slug.is_valid(made, Context.QUEUED, 2)
    assert not slug.is_valid(made, Context.EXECUTING, 1)
    assert not Slug().is_valid(made, Context.QUEUED, 1)
    assert not slug.is_valid("ÿ", Context.QUEUED, 1)


def test_query_ids_end_in_the_coordinators_id_and_count_from_zero_each_day() -> None:
    ids = QueryIdGenerator("abcde")
    assert ids.next(NOON) == "20260131_123045_00000_abcde"
    assert ids.next(NOON) == "20260131_123045_00001_abcde"
    assert ids.next(NOON.replace(month=2, day=1)) == "20260201_123045_00000_abcde"


def test_the_counter_restarts_before_it_needs_a_sixth_digit() -> None:
    ids = QueryIdGenerator("abcde")
    last = [ids.next(NOON) for _ in range(100_001)]
    assert last[99_999].endswith("_99999_abcde")
    assert last[100_000].endswith("_00000_abcde")


def test_coordinator_ids_use_the_alphabet_without_look_alikes() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set("lo01") & set(ALPHABET)
    found = {new_coordinator_id() for _ in range(50)}
    assert all(len(name) == 5 and set(name) <= set(ALPHABET) for name in found)
    assert len(found) > 40
    assert is_query_id("20260131_123045_00000_abcde")
    assert not is_query_id("a/b")


# Outer addresses


def base(headers: dict[str, str], *, forwarded: bool = True) -> str:
    return external_uri(headers, scheme="http", fallback_authority="10.0.0.1:8080", process_forwarded=forwarded).base


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, "http://10.0.0.1:8080"),
        ({"Host": "trino:8080"}, "http://trino:8080"),
        ({"Host": "a", "X-Forwarded-Proto": "https"}, "https://a"),
        ({"Host": "a", "X-Forwarded-Host": "trino.example.com"}, "http://trino.example.com"),
        ({"Host": "a", "X-Forwarded-Host": "b, c", "X-Forwarded-Proto": "https, http"}, "https://b"),
        ({"Host": "a:1", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"}, "https://a:8443"),
        ({"Host": "a:1", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https"}, "https://a"),
        ({"Host": "[::1]:1", "X-Forwarded-Port": "81"}, "http://[::1]:81"),
        ({"Host": "a", "X-Forwarded-Prefix": "/team-a"}, "http://a/team-a"),
        ({"Host": "a", "X-Forwarded-Prefix": "/b/x"}, "http://a/b%2Fx"),
        ({"Host": "a", "Forwarded": 'for=1.2.3.4;proto=https;host="b:9"'}, "https://b:9"),
        ({"Host": "a", "Forwarded": "proto=https", "X-Forwarded-Proto": "http"}, "https://a"),
        ({"Host": "a", "Forwarded": "host=first, host=second"}, "http://first"),
        ({"Host": "a", "X-Proxied-Https": "on"}, "https://a"),
    ],
)
def test_forwarding_headers_decide_the_address_when_they_are_processed(headers: dict[str, str], expected: str) -> None:
    assert base(headers) == expected


def test_forwarding_headers_are_ignored_or_refused_otherwise() -> None:
    assert base({"Host": "a", "X-Forwarded-Proto": "https"}, forwarded=False) == "http://a"
    assert refused_header({"X-Forwarded-For": "1.2.3.4"}) == "X-Forwarded-For"
    assert refused_header({"Host": "a", "X-Forwarded-Prefix": "/x"}) is None


@given(st.text(max_size=60))
def test_any_forwarded_header_gives_some_address(value: str) -> None:
    assert base({"Host": "a", "Forwarded": value}).startswith(("http", value.partition("=")[2][:1].lower()))


# Nodes


@pytest.mark.parametrize(
    ("current", "wanted", "coordinator", "allowed"),
    [
        ("ACTIVE", "SHUTTING_DOWN", False, True),
        ("ACTIVE", "DRAINING", False, True),
        ("DRAINING", "ACTIVE", False, True),
        ("DRAINING", "SHUTTING_DOWN", False, True),
        ("DRAINED", "ACTIVE", False, True),
        ("DRAINED", "SHUTTING_DOWN", False, True),
        ("DRAINED", "DRAINING", False, False),
        ("ACTIVE", "ACTIVE", True, True),
        ("ACTIVE", "DRAINED", False, False),
        ("ACTIVE", "INACTIVE", False, False),
        ("SHUTTING_DOWN", "ACTIVE", False, False),
        ("SHUTTING_DOWN", "DRAINING", False, False),
        ("ACTIVE", "SHUTTING_DOWN", True, False),
        ("ACTIVE", "DRAINING", True, False),
    ],
)
def test_node_states_change_as_the_table_says(current: str, wanted: str, coordinator: bool, allowed: bool) -> None:
    try:
        check_transition(NodeState(current), NodeState(wanted), coordinator=coordinator)
    except RefusedTransition as error:
        assert not allowed
        assert str(error)
    else:
        assert allowed


def node(name: str, seen: float, *, coordinator: bool = False, version: str = "480", state: str = "ACTIVE") -> Node:
    return Node(name, f"http://{name}", version, coordinator, NodeState(state), seen)


def test_silent_nodes_become_inactive_and_are_forgotten() -> None:
    now = [0.0]
    inventory = NodeInventory(node("c", 0, coordinator=True), include_coordinator=False, clock=lambda: now[0])
    inventory.announced(node("w", 0))
    assert inventory.active_workers() == 1
    now[0] = INACTIVE_AFTER + 1
    assert [item.state for item in inventory.nodes()] == ["ACTIVE", "INACTIVE"]
    assert inventory.active_workers() == 0
    now[0] = FORGOTTEN_AFTER + 1
    assert [item.node_id for item in inventory.nodes()] == ["c"]


def test_draining_and_foreign_nodes_take_no_work() -> None:
    inventory = NodeInventory(node("c", 0, coordinator=True), include_coordinator=True, clock=lambda: 0.0)
    inventory.announced(node("old", 0, version="470"))
    inventory.announced(node("tired", 0, state="DRAINING"))
    assert inventory.active_workers() == 1
    inventory.withdrawn("old")
    assert [item.node_id for item in inventory.nodes()] == ["c", "tired"]


def test_internal_tokens_need_the_same_secret_and_the_right_time() -> None:
    shown = token("secret", "node-1", now=1000)
    assert verify(shown, "secret", now=1100)
    assert not verify(shown, "other", now=1100)
    assert not verify(shown, "secret", now=5000)
    assert not verify(None, "secret")
    assert verify(None, None)
    assert token(None, "node-1") is None


@given(st.text(max_size=40))
def test_any_text_is_no_internal_token(text: str) -> None:
    assert not verify(text, "secret", now=0)


# Names


HOSTS = """10.0.0.1 trino-a.team-a.svc.cluster.local # c
10.0.0.2\ttrino-b.x.svc.cluster.local trino-b.y.svc.cluster.local

# x
10.0.0.3 trino-a.team-b.svc.cluster.local short"""


@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        ("trino-a.team-a.svc.cluster.local", None, "10.0.0.1"),
        ("TRINO-A.team-a.svc.cluster.local.", None, "10.0.0.1"),
        ("trino-a.team-b", None, "10.0.0.3"),
        ("trino-a", "team-b", "10.0.0.3"),
        ("trino-a", None, None),
        ("trino-b", None, "10.0.0.2"),
        ("short", None, "10.0.0.3"),
        ("elsewhere.example.com", None, None),
    ],
)
def test_service_names_are_found_as_a_pod_would(name: str, namespace: str | None, expected: str | None) -> None:
    assert address_of(name, parse_hosts(HOSTS), namespace) == expected


@given(st.text(max_size=80))
def test_any_text_is_a_hosts_file(text: str) -> None:
    assert all(isinstance(address, str) for address in parse_hosts(text).values())
