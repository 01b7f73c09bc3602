"""Container environments: order, expansion, references to ConfigMaps, Secrets, fields and resources; no leaks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.environment import (
    ConfigMissing,
    ConfigWrong,
    environment,
    expand,
    payload,
    resource_value,
)

Object = dict[str, Any]
OBJECTS: dict[tuple[str, str], Object] = {
    ("ConfigMap", "conf"): {"metadata": {"namespace": "n"}, "data": {"a": "1", "b": "$(a)", "not a name!": "x"}},
    ("Secret", "key"): {"metadata": {"namespace": "n"}, "data": {"pass": base64.b64encode(b"s3cret").decode()}},
}
POD: Object = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}, "annotations": {"x/y": 'q"'}},
    "spec": {"nodeName": "sandbox", "containers": [{"name": "c", "resources": {"limits": {"memory": "1Gi"}}}]},
    "status": {"podIP": "127.64.0.1", "hostIP": "127.0.0.1"},
}


def lookup(kind: str, name: str) -> Object | None:
    return OBJECTS.get((kind, name))


def values(*env: Object, env_from: list[Object] | None = None, **container: Any) -> dict[str, str]:
    return environment(POD, {"name": "c", "env": list(env), "envFrom": env_from or [], **container}, lookup)


def from_(**source: Any) -> Object:
    return {"name": "X", "valueFrom": source}


def test_later_entries_win_and_see_earlier_ones() -> None:
    found = values(
        {"name": "a", "value": "2"},
        {"name": "c", "value": "$(a)-$(later)"},
        {"name": "later", "value": "x"},
        env_from=[{"configMapRef": {"name": "conf"}}],
    )
    assert found == {"a": "2", "b": "$(a)", "c": "2-$(later)", "later": "x"}


def test_a_prefix_is_put_before_the_names_of_a_whole_map() -> None:
    found = values(env_from=[{"prefix": "P_", "secretRef": {"name": "key"}}])
    assert found == {"P_pass": "s3cret"}


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ({"configMapKeyRef": {"name": "conf", "key": "a"}}, "1"),
        ({"secretKeyRef": {"name": "key", "key": "pass"}}, "s3cret"),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "127.64.0.1"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.annotations['x/y']"}}, 'q"'),
        ({"fieldRef": {"fieldPath": "spec.serviceAccountName"}}, "default"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "1024"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "2"),
        ({"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}, "1500"),
    ],
)
def test_references_give_values(source: Object, wanted: str) -> None:
    resources = {"limits": {"cpu": "1500m", "memory": "1Gi"}}
    assert values(from_(**source), resources=resources) == {"X": wanted}


def test_a_resource_of_another_container_is_found_by_name() -> None:
    assert resource_value(POD, {"containerName": "c", "resource": "limits.memory"}, None) == str(1024**3)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ({"secretKeyRef": {"name": "gone", "key": "k"}}, "gone"),
        ({"secretKeyRef": {"name": "key", "key": "other"}}, "other"),
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, "gone"),
    ],
)
def test_what_is_missing_is_named_but_nothing_is_shown(source: Object, names: str) -> None:
    with pytest.raises(ConfigMissing, match=names) as caught:
        values(from_(**source))
    assert "s3cret" not in str(caught.value)


def test_optional_references_may_be_missing() -> None:
    gone = {"name": "gone", "key": "k", "optional": True}
    assert values(from_(secretKeyRef=gone), from_(configMapKeyRef=gone)) == {}
    assert values(env_from=[{"secretRef": {"name": "gone", "optional": True}}]) == {}


@pytest.mark.parametrize("source", [{"fieldRef": {"fieldPath": "spec.secretly"}}, {"somethingElse": {}}])
def test_what_cannot_be_given_is_refused(source: Object) -> None:
    with pytest.raises(ConfigWrong):
        values(from_(**source))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$(A)$(B)", "1$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("a$", "a$"),
        ("$(A", "$(A"),
        ("$()", "$()"),
    ],
)
def test_expansion_follows_the_documented_escapes(text: str, wanted: str) -> None:
    assert expand(text, {"A": "1"}) == wanted


@given(st.text(alphabet="$()A x", max_size=30), st.text(max_size=10))
def test_expansion_never_fails_and_leaves_other_text_alone(text: str, value: str) -> None:
    assert expand(text.replace("$", ""), {"A": value}) == text.replace("$", "")
    expand(text, {"A": value})


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=20), st.none(), st.integers())))
def test_any_secret_data_is_read_or_left_out(data: dict[str, Any]) -> None:
    assert set(payload("Secret", {"data": data})) <= set(data)
