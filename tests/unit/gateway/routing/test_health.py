"""What probes make of a target: starting is no health, one miss is no illness, nobody there is sleep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.probes import read_info
from gateway.routing.health import Probe, Reach, after
from gateway.routing.model import Health, Target
from tests.support.routing import target

OK, DOWN, BROKEN = Probe(Reach.ANSWERED), Probe(Reach.UNREACHABLE), Probe(Reach.BROKEN)


def run(*probes: Probe) -> Target:
    one = target()
    for probe in probes:
        one.health, one.health_failures = after(one, probe)
    return one


@pytest.mark.parametrize(
    ("probes", "health"),
    [
        ([OK], Health.HEALTHY),
        ([Probe(Reach.ANSWERED, starting=True)], Health.STARTING),
        ([OK, DOWN, DOWN], Health.HEALTHY),
        ([OK, DOWN, DOWN, DOWN], Health.SLEEPING),
        ([OK, BROKEN, BROKEN, BROKEN], Health.UNHEALTHY),
        ([OK, DOWN, DOWN, DOWN, OK], Health.HEALTHY),
        ([OK, DOWN, DOWN, OK, DOWN], Health.HEALTHY),
        ([DOWN, DOWN, DOWN, BROKEN], Health.UNHEALTHY),
        ([Probe(Reach.ANSWERED, starting=True), DOWN], Health.SLEEPING),
    ],
)
def test_health_follows_the_probes(probes: list[Probe], health: Health) -> None:
    assert run(*probes).health is health


def test_info_tells_the_coordinator_id() -> None:
    probe = read_info(b'{"starting": false, "coordinatorId": "abcde", "nodeId": "x"}')
    assert (probe.reach, probe.starting, probe.coordinator_id) == (Reach.ANSWERED, False, b"abcde")


@pytest.mark.parametrize("body", [b'{"coordinatorId": 7}', b'{"coordinatorId": "toolong"}', b"{}"])
def test_info_without_a_usable_id_is_still_an_answer(body: bytes) -> None:
    assert read_info(body).coordinator_id is None


@given(st.binary())
def test_any_info_body_is_judged(body: bytes) -> None:
    assert read_info(body).reach in (Reach.ANSWERED, Reach.BROKEN)
