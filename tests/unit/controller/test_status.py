"""The status: phases move only along the table and only when something changed, and a write says only what differs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.observed import Observed
from controller.plan import plan
from controller.status import Report, Situation, build_status, failed_status, next_phase, status_patch, wanted_phase
from crds.v1.conditions import Reason
from crds.v1.lifecycle import Phase, allowed
from tests.support.runtimes import NOW, RULES, running, runtime

PHASES = [None, *Phase]


@pytest.mark.parametrize("old", PHASES)
@pytest.mark.parametrize("situation", list(Situation))
def test_every_shown_phase_is_an_allowed_move_and_the_wanted_one_is_reached(old, situation):
    phase, steps = old, 0
    while True:
        following = next_phase(phase, wanted_phase(phase, situation))
        assert phase is None or allowed(phase, following)
        if following is phase:
            break
        phase, steps = following, steps + 1
        assert steps <= 4
    if situation in (Situation.READY, Situation.SUSPENDED, Situation.FAILED):
        assert phase is wanted_phase(old, situation)


@pytest.mark.parametrize(
    ("old", "situation", "shown"),
    [
        (None, Situation.ABSENT, Phase.PENDING),
        (Phase.PENDING, Situation.STARTING, Phase.RECONCILING),
        (Phase.RECONCILING, Situation.READY, Phase.READY),
        (Phase.READY, Situation.READY, Phase.READY),
        (Phase.READY, Situation.SUSPENDED, Phase.SUSPENDING),
        (Phase.SUSPENDING, Situation.SUSPENDED, Phase.SUSPENDED),
        (Phase.SUSPENDED, Situation.STARTING, Phase.RESUMING),
        (Phase.SUSPENDED, Situation.READY, Phase.RESUMING),
        (Phase.SUSPENDED, Situation.SUSPENDING, Phase.SUSPENDED),
        (Phase.RESUMING, Situation.READY, Phase.READY),
        (Phase.SUSPENDING, Situation.STARTING, Phase.RESUMING),
        (Phase.ERROR, Situation.STARTING, Phase.RECONCILING),
        (Phase.READY, Situation.FAILED, Phase.ERROR),
        (Phase.READY, Situation.DELETING, Phase.READY),
    ],
)
def test_the_moves_that_people_see(old, situation, shown):
    assert next_phase(old, wanted_phase(old, situation)) is shown


def test_looking_again_changes_no_byte_of_the_status():
    x = runtime()
    observed = running(x)
    first = plan(x, observed, NOW, RULES).status
    again = plan(runtime(status=first), observed, NOW + timedelta(minutes=9), RULES).status
    assert status_patch(first, again) is None


def test_a_condition_keeps_its_time_until_it_flips():
    x = runtime()
    ready = plan(x, running(x), NOW, RULES).status
    later = NOW + timedelta(hours=1)
    down = plan(runtime(status=ready), Observed(), later, RULES).status
    times = {c["type"]: c["lastTransitionTime"] for c in down["conditions"]}
    before = {c["type"]: c["lastTransitionTime"] for c in ready["conditions"]}
    assert times["Ready"] != before["Ready"]
    assert times["Suspended"] == before["Suspended"]


def test_a_failed_apply_does_not_claim_to_have_seen_the_generation():
    x = runtime(generation=4, status={"observedGeneration": 3})
    planned = plan(x, Observed(), NOW, RULES).status
    assert planned["observedGeneration"] == 4
    failed = failed_status(x, planned, Reason.RESOURCE_APPLY_FAILED, "could not apply Service x", NOW)
    assert failed["observedGeneration"] == 3
    assert failed["phase"] == "Error"
    assert {c["type"]: c["status"] for c in failed["conditions"]}["Ready"] == "False"


def test_a_long_message_is_cut():
    report = Report(Situation.FAILED, Reason.INVALID_SPEC, "x" * 5000)
    assert len(build_status(runtime(), report, NOW)["message"]) <= 1024


STATUS = st.recursive(
    st.integers(-2, 2) | st.text(max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = merged(target.get(key), value)
    return target


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), STATUS), st.dictionaries(st.sampled_from("abcd"), STATUS))
def test_the_patch_leads_from_the_old_status_to_the_new(old, new):
    patch = status_patch(old, new)
    assert (patch is None) == (old == new)
    assert merged(old, patch or {}) == new
