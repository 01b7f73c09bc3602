"""Probes over time: thresholds, delays, eager attempts that may succeed but never fail, speed-up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.probes import Pace, ProbeKind, ProbeTracker, read

EXACT = Pace(eager=False)
EAGER = Pace(eager=True, eager_interval=0.1)


def tracker(kind: ProbeKind, pace: Pace = EXACT, **fields: Any) -> ProbeTracker:
    probe = read({f"{kind.value}Probe": {"httpGet": {}, **fields}}, kind, pace)
    assert probe is not None
    return ProbeTracker(probe, 100.0, pace)


def test_defaults_are_those_of_the_api() -> None:
    probe = read({"livenessProbe": {"tcpSocket": {}}}, ProbeKind.LIVENESS, EXACT)
    assert probe is not None
    assert (probe.initial_delay, probe.period, probe.timeout, probe.successes, probe.failures) == (0, 10, 1, 1, 3)
    assert read({}, ProbeKind.READINESS, EXACT) is None


def test_the_schedule_is_kept_without_eagerness() -> None:
    subject = tracker(ProbeKind.READINESS, initialDelaySeconds=10, periodSeconds=5)
    assert subject.next_at() == 110
    subject.record(False, 110.0, 110.2)
    assert subject.next_at() == 115


def test_readiness_needs_its_thresholds_in_a_row() -> None:
    subject = tracker(ProbeKind.READINESS, successThreshold=2, failureThreshold=2)
    answers = [True, False, True, True, False, True, False, False]
    seen = []
    for at, answer in enumerate(answers, 100):
        subject.record(answer, float(at), float(at))
        seen.append(subject.passed)
    assert seen == [False, False, False, True, True, True, True, False]


def test_liveness_presumes_life_until_the_threshold() -> None:
    subject = tracker(ProbeKind.LIVENESS, failureThreshold=3)
    assert subject.passed
    changes = [subject.record(False, float(at), float(at)) for at in (100, 110, 120)]
    assert changes == [False, False, True] and subject.failed


def test_eager_attempts_come_at_once_and_may_succeed() -> None:
    subject = tracker(ProbeKind.STARTUP, EAGER, initialDelaySeconds=10)
    assert subject.next_at() == 100
    assert not subject.counts(100.0)
    subject.record(False, 100.0, 100.01)
    assert 100.05 < subject.next_at() < 100.3
    assert subject.record(True, 100.2, 100.2) and subject.passed


def test_eager_failures_do_not_shorten_the_patience() -> None:
    subject = tracker(ProbeKind.STARTUP, EAGER, initialDelaySeconds=10, periodSeconds=2, failureThreshold=60)
    attempts = 0
    while not subject.failed:
        at = subject.next_at()
        subject.record(False, at, at)
        attempts += 1
    assert at >= 100 + 10 + 59 * 2
    assert attempts > 60


def test_after_the_first_success_the_schedule_holds() -> None:
    subject = tracker(ProbeKind.READINESS, EAGER, periodSeconds=10)
    subject.record(True, 100.0, 100.0)
    assert subject.next_at() == 110
    subject.record(False, 110.0, 110.0)
    assert subject.next_at() == 120


def test_speed_up_divides_delays_and_periods_but_not_time_outs() -> None:
    probe = read(
        {"readinessProbe": {"initialDelaySeconds": 30, "periodSeconds": 10, "timeoutSeconds": 5}},
        ProbeKind.READINESS,
        Pace(speedup=10),
    )
    assert probe is not None and (probe.initial_delay, probe.period, probe.timeout) == (3, 1, 5)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=40), st.booleans())
def test_time_never_runs_backwards_and_verdicts_exclude_each_other(
    answers: list[tuple[bool, float]], eager: bool
) -> None:
    subject = tracker(ProbeKind.READINESS, Pace(eager=eager), periodSeconds=1, failureThreshold=2)
    now = 100.0
    for answer, took in answers:
        at = subject.next_at()
        assert at >= 100.0
        now = max(now, at) + took
        subject.record(answer, at, now)
        assert not (subject.passed and subject.failed)
        assert subject.next_at() >= at
