"""Defaulting tidies and writes defaults down; it never changes what was meant."""

import copy

import pytest

from crds.v1.defaulting import default_catalog, default_xtrinode
from crds.v1.meta import parse
from crds.v1.shape import resolve
from crds.v1.xtrinode import XTrinode


def spec_of(spec):
    return default_xtrinode({"metadata": {"name": "a"}, "spec": spec})["spec"]


def test_the_lifecycle_is_written_down():
    assert spec_of({"size": "s"}) == {
        "size": "s",
        "minWorkers": 0,
        "suspended": False,
        "autoSuspendAfter": "5m",
        "resumePolicy": "OnDemand",
        "drainTimeout": "1h",
        "drainPolicy": "Wait",
    }


@pytest.mark.parametrize(
    ("given", "path", "spelt"),
    [
        ({"size": " XL "}, ["size"], "xl"),
        (
            {"placement": {"existingNodePool": {"provider": "GCP"}}},
            ["placement", "existingNodePool", "provider"],
            "gcp",
        ),
        ({"keda": {"scalerType": "Prometheus"}}, ["keda", "scalerType"], "prometheus"),
        ({"faultTolerantExecution": {"retryPolicy": "task"}}, ["faultTolerantExecution", "retryPolicy"], "TASK"),
        (
            {"helmChartConfig": {"accessControl": {"type": "ConfigMap"}}},
            ["helmChartConfig", "accessControl", "type"],
            "configmap",
        ),
    ],
)
def test_enumerations_are_read_without_regard_to_case(given, path, spelt):
    value = spec_of(given)
    for key in path:
        value = value[key]
    assert value == spelt


def test_nulls_go_but_not_from_an_overlay():
    spec = spec_of({"size": "s", "maxWorkers": None, "routing": {"header": None}, "valuesOverlay": {"a": None}})
    assert "maxWorkers" not in spec
    assert spec["routing"] == {}
    assert spec["valuesOverlay"] == {"a": None}


def test_nulls_go_from_objects_in_lists_as_well():
    spec = spec_of({"size": "s", "placement": {"tolerations": [{"key": "k", "value": None}, {"operator": "Exists"}]}})
    assert spec["placement"]["tolerations"] == [{"key": "k"}, {"operator": "Exists"}]


@pytest.mark.parametrize("obj", [{}, {"spec": None}, {"spec": []}, {"spec": {"size": 3, "keda": "x", "placement": []}}])
def test_what_has_the_wrong_form_is_left_for_validation(obj):
    result = default_xtrinode(obj)
    assert result.get("spec") == obj.get("spec") or result["spec"]["size"] == 3


def test_twice_is_once_and_the_input_is_untouched():
    given = {"metadata": {"name": "a"}, "spec": {"size": "S", "keda": {"scalerType": None}}}
    before = copy.deepcopy(given)
    once = default_xtrinode(given)
    assert default_xtrinode(once) == once
    assert given == before


def test_a_default_that_is_written_is_the_default_that_holds():
    plain = {"metadata": {"name": "a"}, "spec": {"size": "s"}}
    assert resolve(parse(XTrinode, default_xtrinode(plain))) == resolve(parse(XTrinode, plain))


def test_a_catalog_only_loses_its_nulls():
    assert default_catalog({"spec": {"connector": {"tpch": {}, "tpcds": None}}}) == {
        "spec": {"connector": {"tpch": {}}}
    }
