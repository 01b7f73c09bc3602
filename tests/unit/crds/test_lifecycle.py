"""The phase machine is one table, and a route's state comes from observation.

Plan: the promised moves exist and the forbidden ones do not; every phase can fail and can recover; every combination
of observations has the one state that is safe.
"""

import itertools

import pytest

from crds.v1.lifecycle import TRANSITIONS, Phase, allowed


@pytest.mark.parametrize(
    "path",
    [
        "Pending Reconciling Ready Suspending Suspended Resuming Reconciling Ready",
        "Pending Suspended Resuming Ready",
        "Ready Error Reconciling Ready",
        "Suspending Resuming Ready",
    ],
)
def test_the_promised_lives_are_possible(path):
    phases = [Phase(word) for word in path.split()]
    assert all(allowed(old, new) for old, new in itertools.pairwise(phases))


@pytest.mark.parametrize(
    ("old", "new"), [("Ready", "Suspended"), ("Suspended", "Ready"), ("Reconciling", "Suspended"), ("Ready", "Pending")]
)
def test_shortcuts_are_not(old, new):
    assert not allowed(Phase(old), Phase(new))


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_may_stay_may_fail_and_may_recover(phase):
    assert allowed(phase, phase)
    assert allowed(phase, Phase.ERROR)
    assert phase in {Phase.PENDING, Phase.ERROR} or any(phase in targets for targets in TRANSITIONS.values())


def test_a_new_runtime_may_be_pending_or_go_on_at_once():
    assert allowed(None, Phase.PENDING)
    assert allowed(None, Phase.RECONCILING)
    assert not allowed(None, Phase.RESUMING)
