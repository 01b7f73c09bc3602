"""Conditions keep their history: the time moves when the status flips, and only then."""

from datetime import UTC, datetime, timedelta

from crds.v1.conditions import ConditionType, Reason, find, is_true, set_condition
from crds.v1.meta import parse, to_dict
from crds.v1.xtrinode import XTrinodeStatus

NOON = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def ready(conditions, status, reason, now):
    return set_condition(conditions, ConditionType.READY, status, reason, "m", 3, now)


def test_the_time_moves_only_with_the_status():
    first = ready([], "False", Reason.RUNTIME_NOT_READY, NOON)
    same = ready(first, "False", Reason.CATALOG_INVALID, LATER)
    flipped = ready(same, "True", Reason.ALL_COMPONENTS_READY, LATER)
    assert same[0].last_transition_time == NOON.replace(microsecond=0)
    assert same[0].reason == "CatalogInvalid"
    assert flipped[0].last_transition_time == LATER.replace(microsecond=0)


def test_the_same_again_is_the_same_list():
    first = ready([], "True", Reason.ALL_COMPONENTS_READY, NOON)
    assert ready(first, "True", Reason.ALL_COMPONENTS_READY, LATER) == first


def test_others_and_their_order_stay():
    conditions = ready([], "True", Reason.ALL_COMPONENTS_READY, NOON)
    conditions = set_condition(conditions, ConditionType.ERROR, "False", Reason.NO_ERROR, "", 3, NOON)
    changed = ready(conditions, "False", Reason.RUNTIME_NOT_READY, LATER)
    assert [condition.type for condition in changed] == ["Ready", "Error"]
    assert changed[1] == conditions[1]


def test_conditions_are_found_by_type():
    conditions = ready([], "True", Reason.ALL_COMPONENTS_READY, NOON)
    assert is_true(conditions, ConditionType.READY)
    assert not is_true(conditions, ConditionType.ERROR)
    assert find(conditions, "Nothing") is None


def test_a_condition_survives_the_wire():
    conditions = ready([], "True", Reason.ALL_COMPONENTS_READY, NOON)
    wire = [to_dict(condition) for condition in conditions]
    assert wire[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert list(parse(XTrinodeStatus, {"conditions": wire}).conditions) == conditions
