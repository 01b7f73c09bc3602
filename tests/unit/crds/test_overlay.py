"""The overlay is read once, forgives YAML's loose types, and forgets no key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.meta import InvalidObject
from crds.v1.overlay import DENIED, Overlay, empty, jmx_of, parse_overlay, unknown


def test_nothing_is_the_empty_overlay():
    assert parse_overlay(None) is empty()
    assert parse_overlay({}) == empty()
    assert unknown(empty()) == ()


def test_numbers_and_texts_stand_for_one_another():
    overlay = parse_overlay({"image": {"tag": 480}, "service": {"port": "9000"}, "commonLabels": {"a": 1}})
    assert (overlay.image.tag, overlay.service.port, overlay.common_labels) == ("480", 9000, {"a": "1"})


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"typo": 1}, "typo"),
        ({"server": {"node": {"typo": 1}}}, "server.node.typo"),
        (
            {"worker": {"additionalExposedPorts": {"x": {"port": 1, "nodePort": 2}}}},
            "worker.additionalExposedPorts.x.nodePort",
        ),
        ({"image": {"repositry": "x"}}, "image.repositry"),
    ],
)
def test_a_key_that_nothing_uses_is_listed(raw, path):
    assert unknown(parse_overlay(raw)) == (f"spec.valuesOverlay.{path}",)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({"service": {"port": 0}}, "service.port"),
        ({"env": {"A": "b"}}, "env"),
        ({"worker": []}, "worker"),
        ({"server": {"autoscaling": {"minReplicas": "few"}}}, "server.autoscaling.minReplicas"),
        ({"secretMounts": [{"name": "a"}]}, "secretMounts[0].secretName"),
    ],
)
def test_a_wrong_type_is_refused_with_the_whole_path(raw, path):
    with pytest.raises(InvalidObject) as caught:
        parse_overlay(raw)
    assert f"spec.valuesOverlay.{path}" in [error.path for error in caught.value.errors]


@pytest.mark.parametrize(
    ("cpu", "memory", "targets"),
    [(50, 80, (50, 80)), ("", 80, (None, 80)), ("70", None, (70, None)), (0, "x", (None, None))],
)
def test_an_empty_target_is_off(cpu, memory, targets):
    raw = {"enabled": True, "targetCPUUtilizationPercentage": cpu, "targetMemoryUtilizationPercentage": memory}
    scaling = parse_overlay({"server": {"autoscaling": raw}}).server.autoscaling
    assert scaling.targets() == targets
    assert scaling.active == any(targets)


def test_a_role_changes_its_own_jmx_only():
    jmx = parse_overlay({"jmx": {"enabled": True, "worker": {"serverPort": 7, "exporter": {"enabled": True}}}}).jmx
    assert jmx_of(jmx, "worker").server_port == 7
    assert jmx_of(jmx, "worker").exporter.enabled
    assert jmx_of(jmx, "coordinator").server_port == 9081
    assert not jmx_of(jmx, "coordinator").exporter.enabled


def test_no_denied_key_is_a_key_that_is_used():
    def used(path):
        part: type = Overlay
        for key in path.split("."):
            fields = {info.alias or name: info for name, info in part.model_fields.items()}
            if key not in fields:
                return False
            part = fields[key].annotation
        return True

    assert [path for path in DENIED if used(path)] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.sampled_from([info.alias or name for name, info in Overlay.model_fields.items()]), json_values)
)
def test_any_json_is_read_or_refused(raw):
    try:
        parse_overlay(raw)
    except InvalidObject as error:
        assert all(item.path.startswith("spec.valuesOverlay.") for item in error.errors)
