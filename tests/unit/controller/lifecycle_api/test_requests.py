"""Lifecycle requests: what a body asks for, and what that needs given the runtime's state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.lifecycle_api.requests import (
    BadRequest,
    Command,
    choose_candidate,
    decide,
    lease_name,
    read_command,
    read_pool_resume,
)
from crds.v1 import meta

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def runtime(name: str = "a", *, suspended: bool = False, units: int = 1, group: str = "", policy: str = "") -> dict:
    spec: dict[str, Any] = {"size": "s", "suspended": suspended}
    if group:
        spec["routing"] = {"routingGroup": group}
    if policy:
        spec["resumePolicy"] = policy
    status = {"phase": "Suspended" if suspended else "Ready", "observedRuntimeShape": {"capacityUnits": units}}
    return {"metadata": {"namespace": "team", "name": name}, "spec": spec, "status": status}


def test_resume_of_a_sleeping_runtime_leaves_a_request_with_its_time() -> None:
    step = decide(Command("resume"), runtime(suspended=True), NOW)
    assert step.annotations == {meta.RESUME_REQUESTED: "true", meta.RESUME_REQUESTED_AT: "2026-01-01T00:00:00Z"}
    assert step.phase == "Suspended"


def test_resume_of_a_runtime_that_is_up_writes_nothing() -> None:
    assert decide(Command("resume"), runtime(), NOW).annotations is None


def test_wake_overrides_are_left_even_when_it_is_up() -> None:
    annotations = decide(Command("resume", 3, "10m"), runtime(), NOW).annotations
    assert annotations is not None
    assert (annotations[meta.WAKE_MIN_WORKERS], annotations[meta.WAKE_TTL]) == ("3", "10m")


def test_suspend_is_left_once() -> None:
    assert decide(Command("suspend"), runtime(), NOW).annotations is not None
    assert decide(Command("suspend"), runtime(suspended=True), NOW).annotations is None


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"requestId": "x"}'])
def test_plain_resume_needs_no_body(body: bytes) -> None:
    assert read_command("resume", body) == Command("resume")


@pytest.mark.parametrize(
    "body",
    [b"[", b"[]", b'{"wakeMinWorkers": -1}', b'{"wakeMinWorkers": true}', b'{"wakeTTL": "soon"}', b'{"wakeTTL": 5}']
    + [b'{"typo": 1}'],
)
def test_body_that_makes_no_sense_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_command("resume", body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", "INVALID_REQUEST"),
        (b'{"candidate": {"name": "a"}}', "INVALID_NAMESPACE"),
        (b'{"candidate": {"namespace": "n"}}', "INVALID_NAME"),
        (b'{"candidate": 1}', "INVALID_REQUEST"),
        (b'{"routingGroup": 1}', "INVALID_REQUEST"),
    ],
)
def test_pool_resume_says_what_is_missing(body: bytes, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_pool_resume(body)
    assert caught.value.code == code


@given(st.binary())
def test_any_body_is_a_command_or_refused(body: bytes) -> None:
    for read in (lambda b: read_command("resume", b), read_pool_resume):
        try:
            read(body)
        except BadRequest as error:
            assert str(error)


def test_pool_prefers_what_is_up_then_the_smallest_sleeper() -> None:
    large, small = runtime("b", suspended=True, units=4, group="g"), runtime("c", suspended=True, units=1, group="g")
    up = runtime("z", group="g")
    assert choose_candidate("g", [large, small]) is small
    assert choose_candidate("g", [large, small, up]) is up
    assert choose_candidate("other", [large]) is None
    assert choose_candidate("team--a", [runtime("a", suspended=True)]) is not None


def test_runtime_that_may_not_be_woken_is_no_candidate() -> None:
    assert choose_candidate("g", [runtime("b", suspended=True, group="g", policy="Manual")]) is None


def test_leases_of_different_runtimes_never_share_a_name() -> None:
    assert lease_name("resume", "a-b", "c") != lease_name("resume", "a", "b-c")
    assert len(lease_name("suspend", "n" * 63, "x" * 253)) <= 63
