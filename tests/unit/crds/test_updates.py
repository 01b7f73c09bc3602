"""Edits: what was admitted may stay, breaking ones need a reason with the edit, and the author learns what restarts.

Plan: the ratchet; break-glass open, shut and stale; what counts as breaking; warnings.
"""

import pytest

from crds.v1.meta import ALLOW_BREAKING_UPDATE, BREAKING_UPDATE_REASON, errors_in, parse
from crds.v1.validation import breaking_changes, glass_is_broken, unforgiven, validate_xtrinode, warnings_for
from crds.v1.xtrinode import XTrinode

GLASS = {ALLOW_BREAKING_UPDATE: "true", BREAKING_UPDATE_REASON: "moving to team-b, see change 42"}


def make(annotations=None, **spec):
    metadata = {"name": "run", "namespace": "team", "annotations": annotations or {}}
    return parse(XTrinode, {"metadata": metadata, "spec": {"size": "m", **spec}})


def paths(new, old):
    return [error.path for error in validate_xtrinode(new, old)]


def test_an_old_error_does_not_stand_in_the_way_of_another_edit():
    old = make(minWorkers=5, maxWorkers=2)
    assert paths(make(minWorkers=5, maxWorkers=2, suspended=True), old) == []


def test_an_old_error_that_changes_is_judged_again():
    old = make(minWorkers=5, maxWorkers=2)
    assert paths(make(minWorkers=6, maxWorkers=2), old) == ["spec.minWorkers"]
    assert paths(make(minWorkers=5, maxWorkers=1), old) == ["spec.minWorkers"]


def test_a_new_error_beside_an_old_one_is_found():
    old = make(minWorkers=5, maxWorkers=2)
    assert paths(make(minWorkers=5, maxWorkers=2, customConfigMaps=["a", "a"]), old) == ["spec.customConfigMaps[1]"]


def test_a_value_that_became_wrong_may_stay_as_it_is():
    old = {"spec": {"size": "s", "maxWorkers": 900}}
    new = {"spec": {"size": "s", "maxWorkers": 900, "suspended": "yes"}}
    found = unforgiven(errors_in(XTrinode, new), errors_in(XTrinode, old))
    assert [error.path for error in found] == ["spec.suspended"]


BREAKING = [
    ({"size": "l"}, {"size": "s"}, 1),
    ({"routing": {"hostname": "a.io"}}, {}, 1),
    ({"routing": {"hostname": "a.io"}}, {"routing": {"hostname": "b.io"}}, 1),
    ({"routing": {"hostnameDomain": "a.io"}}, {"routing": {"hostnameDomain": "b.io"}}, 1),
    ({"routing": {"header": "x"}}, {"routing": {"header": "y"}}, 1),
    ({"routing": {"default": True}}, {"routing": {}}, 1),
    ({"routing": {"routingGroup": "g", "hostname": "a.io"}}, {"routing": {"routingGroup": "h"}}, 2),
]
HARMLESS = [
    ({"size": "s"}, {"size": "l"}),
    ({}, {"routing": {"hostname": "a.io", "default": True}}),
    ({"routing": {"hostname": "A.io"}}, {"routing": {"hostname": "a.io"}}),
    ({"routing": {"header": "X-Trino-XTrinode=team/run"}}, {}),
    ({"routing": {"hostnameDomain": "t.io"}}, {"routing": {"hostname": "team--run.t.io"}}),
    ({"routing": {"capacityUnits": 1}}, {"routing": {"capacityUnits": 2}}),
]


@pytest.mark.parametrize(("before", "after", "reasons"), BREAKING)
def test_a_breaking_edit_needs_broken_glass(before, after, reasons):
    old, new = make(**before), make(**after)
    assert len(breaking_changes(new, old)) == reasons
    (error,) = validate_xtrinode(new, old)
    assert (error.path, error.kind) == ("spec", "Forbidden")
    assert ALLOW_BREAKING_UPDATE in error.message
    allowed = make(GLASS, **after)
    assert validate_xtrinode(allowed, old) == []
    assert sum(ALLOW_BREAKING_UPDATE in warning for warning in warnings_for(allowed, old)) == reasons + 1


@pytest.mark.parametrize(("before", "after"), HARMLESS)
def test_an_edit_that_takes_nothing_away_is_free(before, after):
    assert breaking_changes(make(**after), make(**before)) == []
    assert paths(make(**after), make(**before)) == []


@pytest.mark.parametrize(
    "annotations",
    [
        {ALLOW_BREAKING_UPDATE: "true"},
        {ALLOW_BREAKING_UPDATE: "true", BREAKING_UPDATE_REASON: "  "},
        {ALLOW_BREAKING_UPDATE: "yes", BREAKING_UPDATE_REASON: "why"},
        {BREAKING_UPDATE_REASON: "why"},
    ],
)
def test_half_broken_glass_is_whole(annotations):
    assert paths(make(annotations, size="s"), make(size="l")) == ["spec"]


def test_a_reason_of_last_time_opens_nothing():
    first = make(GLASS, size="m")
    assert not glass_is_broken(make(GLASS, size="s"), first)
    assert paths(make(GLASS, size="s"), first) == ["spec"]
    assert paths(make({**GLASS, BREAKING_UPDATE_REASON: "smaller again"}, size="s"), first) == []


def test_breaking_reasons_come_in_one_order():
    old = make(size="l", routing={"hostname": "a.io", "header": "x", "default": True})
    assert breaking_changes(make(size="s"), old) == breaking_changes(make(size="s"), old)
    assert [reason.split()[0] for reason in breaking_changes(make(size="s"), old)] == ["spec.size"] + [
        "spec.routing:"
    ] * 3


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ({}, {"catalogSelector": {}}, "spec.catalogSelector changed: restarts all pods"),
        ({}, {"helmChartConfig": {}}, "spec.helmChartConfig changed"),
        ({}, {"suspended": True}, "all pods stop"),
        ({"maxWorkers": 2}, {"maxWorkers": 5}, "factor of two"),
        ({"maxWorkers": 0}, {"maxWorkers": 1}, "factor of two"),
    ],
)
def test_the_author_learns_what_an_edit_does(before, after, word):
    assert any(word in warning for warning in warnings_for(make(**after), make(**before)))


def test_a_quiet_edit_is_quiet():
    assert warnings_for(make(maxWorkers=4, autoSuspendAfter="1h"), make(maxWorkers=2)) == []


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"valuesOverlay": {"typo": 1}}, "spec.valuesOverlay.typo is not used"),
        (
            {"valuesOverlay": {"server": {"workers": 2}}},
            "spec.valuesOverlay.server.workers is not used: use spec.maxWorkers",
        ),
        ({"valuesOverlay": {"image": {"tga": "1"}}}, "spec.valuesOverlay.image.tga is not used"),
        ({"keda": {"enabled": True}}, "no effect yet"),
        (
            {"valuesOverlay": {"additionalConfigProperties": ["internal-communication.shared-secret=hunter2"]}},
            "write internal-communication.shared-secret=${ENV:NAME}",
        ),
        ({"faultTolerantExecution": {}}, "own disk"),
        (
            {
                "valuesOverlay": {
                    "server": {
                        "autoscaling": {
                            "enabled": True,
                            "targetCPUUtilizationPercentage": "",
                            "targetMemoryUtilizationPercentage": "",
                        }
                    }
                }
            },
            "no target",
        ),
    ],
)
def test_what_has_no_effect_is_named(spec, word):
    assert any(word in warning for warning in warnings_for(make(**spec)))


def test_a_secret_in_a_line_is_warned_of_without_being_repeated():
    lines = ["internal-communication.shared-secret=hunter2", "http-server.authentication.type=PASSWORD"]
    (warning,) = warnings_for(make(valuesOverlay={"additionalConfigProperties": lines}))
    assert "hunter2" not in warning
    good = ["internal-communication.shared-secret=${ENV:SHARED}"]
    assert warnings_for(make(valuesOverlay={"additionalConfigProperties": good})) == []


def test_a_denied_key_is_an_error_and_not_also_a_warning():
    assert warnings_for(make(valuesOverlay={"resources": {}})) == []
