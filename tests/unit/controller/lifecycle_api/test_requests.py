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
    read_key,
    read_pool_resume,
)
from crds.v1 import meta

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def runtime(
    name: str = "a",
    *,
    suspended: bool = False,
    units: int = 1,
    group: str = "",
    policy: str = "",
    annotations: dict[str, str] | None = None,
) -> dict:
    spec: dict[str, Any] = {"size": "s", "suspended": suspended}
    if group:
        spec["routing"] = {"routingGroup": group}
    if policy:
        spec["resumePolicy"] = policy
    status = {"phase": "Suspended" if suspended else "Ready", "observedRuntimeShape": {"capacityUnits": units}}
    metadata = {"namespace": "team", "name": name, "annotations": annotations}
    return {"metadata": metadata, "spec": spec, "status": status}


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


RESUME = {meta.RESUME_REQUESTED: "true", meta.RESUME_REQUESTED_AT: "2026-01-01T00:00:00Z"}
SUSPEND = {meta.SUSPEND_REQUESTED: "true", meta.SUSPEND_REQUESTED_AT: "2026-01-01T00:00:00Z"}


def test_what_was_asked_for_and_is_not_taken_yet_need_not_be_asked_for_again() -> None:
    for command, suspended, pending in (("resume", True, RESUME), ("suspend", False, SUSPEND)):
        step = decide(Command(command), runtime(suspended=suspended, annotations=pending), NOW)
        assert (step.annotations, step.is_pending) == (None, True)
    assert not decide(Command("resume"), runtime(), NOW).is_pending


def test_the_last_command_replaces_an_opposite_one_that_is_not_taken_yet() -> None:
    """Both came within one second, and the controller has not looked: still the later one counts."""
    resume = decide(Command("resume"), runtime(annotations=SUSPEND), NOW)
    assert resume.annotations == RESUME | dict.fromkeys(SUSPEND)
    suspend = decide(Command("suspend"), runtime(suspended=True, annotations=RESUME), NOW)
    assert suspend.annotations == SUSPEND | dict.fromkeys(RESUME)


@pytest.mark.parametrize("annotations", [None, {}, [], "x", {meta.RESUME_REQUESTED: 1}])
def test_annotations_that_make_no_sense_are_none(annotations: Any) -> None:
    assert decide(Command("resume"), runtime(suspended=True, annotations=annotations), NOW).annotations == RESUME


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "A", "-a", "a" * 254, "ä"])
def test_a_name_that_no_object_can_have_is_refused_before_anybody_is_asked(name: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_key("team", name)
    assert caught.value.code == "INVALID_NAME"
    with pytest.raises(BadRequest) as caught:
        read_key(name, "a")
    assert caught.value.code == "INVALID_NAMESPACE"


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
