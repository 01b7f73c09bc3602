"""Objects are parsed strictly, errors name their field, metadata is lenient."""

from datetime import UTC, datetime

import pytest

from crds.v1 import meta
from crds.v1.meta import FieldError, InvalidObject, ObjectMeta, field_path, format_time, owner_reference, parse, to_dict
from crds.v1.xtrinode import XTrinode
from crds.v1.xtrinodecatalog import XTrinodeCatalog


def errors_of(cls, obj):
    with pytest.raises(InvalidObject) as caught:
        parse(cls, obj)
    return {error.path: error for error in caught.value.errors}


@pytest.mark.parametrize(
    ("spec", "path", "kind"),
    [
        ({}, "spec.size", "Required"),
        ({"size": "huge"}, "spec.size", "NotSupported"),
        ({"size": "s", "sise": "m"}, "spec.sise", "Invalid"),
        ({"size": "s", "min_workers": 1}, "spec.min_workers", "Invalid"),
        ({"size": "s", "minWorkers": "1"}, "spec.minWorkers", "Invalid"),
        ({"size": "s", "maxWorkers": 501}, "spec.maxWorkers", "Invalid"),
        ({"size": "s", "suspended": "yes"}, "spec.suspended", "Invalid"),
        ({"size": "s", "autoSuspendAfter": "soon"}, "spec.autoSuspendAfter", "Invalid"),
        ({"size": "s", "autoSuspendAfter": "-5m"}, "spec.autoSuspendAfter", "Invalid"),
        ({"size": "s", "customConfigMaps": ["ok", "Not_OK"]}, "spec.customConfigMaps[1]", "Invalid"),
        (
            {"size": "s", "resources": {"worker": {"limits": {"cpu": "two"}}}},
            "spec.resources.worker.limits.cpu",
            "Invalid",
        ),
        (
            {"size": "s", "resources": {"worker": {"limits": {"cpu": -1}}}},
            "spec.resources.worker.limits.cpu",
            "Invalid",
        ),
        (
            {"size": "s", "limits": {"session": {"maxQueryMemory": "4Gi"}}},
            "spec.limits.session.maxQueryMemory",
            "Invalid",
        ),
        (
            {"size": "s", "rolloutPolicy": {"rollingUpdateStrategy": {"maxSurge": "101%"}}},
            "spec.rolloutPolicy.rollingUpdateStrategy.maxSurge",
            "Invalid",
        ),
        ({"size": "s", "nodePool": {"provider": "gcp"}}, "spec.nodePool", "Invalid"),
        ({"size": "s", "resourceGroupsProfile": "a" * 254}, "spec.resourceGroupsProfile", "TooLong"),
    ],
)
def test_a_wrong_field_is_named(spec, path, kind):
    found = errors_of(XTrinode, {"metadata": {"name": "a"}, "spec": spec})
    assert found[path].kind == kind
    assert path in str(found[path])


def test_all_wrong_fields_are_named_at_once():
    assert len(errors_of(XTrinode, {"spec": {"size": "x", "a": 1, "minWorkers": -1}})) == 3


@pytest.mark.parametrize(
    ("text", "word"),
    [("jdbc:${ENV:SECRET}", "${"), ("a\nconnector.name=x", "control"), ("a\0b", "control"), ("a\tb", "control")],
)
def test_no_user_text_reaches_a_properties_file_unread(text, word):
    connector = {"postgres": {"connectionURL": text, "properties": {"a": text}}}
    found = errors_of(XTrinodeCatalog, {"spec": {"connector": connector}})
    assert word in found["spec.connector.postgres.connectionURL"].message
    assert word in found["spec.connector.postgres.properties.a"].message


@pytest.mark.parametrize("key", ["a=b", "a\nb", "", " a", "a b", "#a"])
def test_property_keys_are_plain(key):
    with pytest.raises(InvalidObject):
        parse(XTrinodeCatalog, {"spec": {"connector": {"tpch": {"properties": {key: "x"}}}}})


def test_metadata_and_status_of_others_are_no_obstacle():
    runtime = parse(
        XTrinode,
        {
            "metadata": {"name": "a", "namespace": "n", "selfLink": "x", "managedFields": [{}]},
            "spec": {"size": "s"},
            "status": {"phase": "Ready", "fromTheFuture": 1},
        },
    )
    assert runtime.key == "n/a"
    assert runtime.status.phase == "Ready"


def test_an_object_survives_the_round_trip():
    wire = {
        "apiVersion": meta.API_VERSION,
        "kind": "XTrinode",
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"size": "s", "wakeTTL": "1m", "placement": {"tolerations": [{"key": "k"}]}},
    }
    assert to_dict(parse(XTrinode, wire)) == wire


def test_a_parsed_object_cannot_be_changed():
    runtime = parse(XTrinode, {"spec": {"size": "s"}})
    with pytest.raises(ValueError, match="frozen"):
        runtime.spec.size = "m"


def test_errors_read_like_the_api_servers():
    assert str(FieldError("spec.a", "must be x", "Invalid", 3)) == "spec.a: Invalid value: 3: must be x"
    assert str(FieldError("spec.a", "must be x")) == "spec.a: Invalid value: must be x"
    assert str(FieldError("spec.a", "set it", "Required")) == "spec.a: Required value: set it"
    assert str(FieldError("spec.a", "no", "Forbidden", 3)) == "spec.a: Forbidden: no"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"size": "xxl"}, "must be 'xs', 's', 'm', 'l' or 'xl'"),
        ({"size": "s", "maxWorkers": "3"}, "must be a whole number"),
        ({"size": "s", "minWorkers": -1}, "must be greater than or equal to 0"),
        ({"size": "s", "suspended": "yes"}, "must be true or false"),
        ({"size": "s", "keda": []}, "must be an object, with keys and values"),
        ({"size": "s", "valuesOverlay": [1]}, "must be an object, with keys and values"),
        ({"size": "s", "customConfigMaps": "a"}, "must be a list"),
        ({"size": "s", "resourceGroupsProfile": 3}, "must be a text; put it in quotes"),
        ({"size": "s", "routing": {"hostname": ""}}, "must have at least 1 character"),
    ],
)
def test_an_error_speaks_of_what_to_write_and_not_of_our_types(spec, message):
    with pytest.raises(InvalidObject) as caught:
        parse(XTrinode, {"spec": spec})
    (error,) = caught.value.errors
    assert error.message == message


def test_a_shown_value_is_written_as_json():
    assert str(FieldError("spec.a", "no", "Invalid", "x")) == 'spec.a: Invalid value: "x": no'
    assert str(FieldError("spec.a", "no", "Invalid", True)) == "spec.a: Invalid value: true: no"
    assert str(FieldError("spec.a", "no", "Invalid", "\ud800")) == 'spec.a: Invalid value: "?": no'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.connector.postgres.properties[connection-password]", "hunter2${"),
        ("spec.connector.postgres.connectionURL", "jdbc:postgresql://u:hunter2@h/${x}"),
        ("spec.connector.postgres.connectionURL", "postgresql://h/db?user=u&password=hunter2"),
        ("spec.keda.prometheusServer", "u:hunter2@prom:9090"),
        ("spec.helmChartConfig.env[0].value", "hunter2" * 5000),
        ("spec.helmChartConfig.env[0].value", "hunter2"),
        ("spec.helmChartConfig.accessControl.properties", "hunter2"),
        ("spec.helmChartConfig.accessControl.rules[a.json]", "hunter2"),
    ],
)
def test_no_error_shows_what_may_be_a_secret_or_is_too_long_to_read(path, value):
    assert "hunter2" not in str(FieldError(path, "no", "Invalid", value))


def test_paths_are_spelt_as_kubernetes_does():
    assert field_path(["spec", "a", 0, "b-c", "d.e/f"]) == "spec.a[0][b-c][d.e/f]"
    assert field_path([]) == "object"


def test_times_know_their_offset():
    assert meta.parse_time("2026-01-01T01:00:00+01:00") == datetime(2026, 1, 1, tzinfo=UTC)
    assert meta.parse_time("2026-01-01T00:00:00").tzinfo is UTC
    assert format_time(meta.parse_time("2026-01-01T01:00:00.9+01:00")) == "2026-01-01T00:00:00Z"
    with pytest.raises(ValueError, match="a time"):
        meta.parse_time("yesterday")


def test_an_owner_takes_its_objects_along():
    reference = owner_reference("XTrinode", ObjectMeta(name="a", uid="u"))
    assert reference["controller"] is True
    assert (reference["apiVersion"], reference["uid"]) == (meta.API_VERSION, "u")
