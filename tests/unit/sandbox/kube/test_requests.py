"""What a request may say in its query and Accept header: read or refused with a 4xx, whatever the text.

Plan: Accept forms; list options and continue tokens; watch options; call options; names, labels and owners.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kube import meta
from sandbox.kube.bootstrap import SERVER
from sandbox.kube.builtin import builtin_kinds
from sandbox.kube.calls import read_call
from sandbox.kube.custom import CustomResources
from sandbox.kube.errors import StatusError
from sandbox.kube.listing import Selection, list_page
from sandbox.kube.paths import Target
from sandbox.kube.presenting import Form
from sandbox.kube.resources import Kind, Registry
from sandbox.kube.store import Store
from sandbox.kube.verbs import DeleteOptions
from sandbox.kube.watching import Watch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STORE = Store()
REGISTRY = Registry()
REGISTRY.add(builtin_kinds(STORE, CustomResources(REGISTRY, lambda: NOW).prepare))


def kind_of(group: str, plural: str) -> Kind:
    found = REGISTRY.by_resource(group, plural)
    assert found is not None
    return found


MAPS = kind_of("", "configmaps")
for _name in ("a", "b", "c"):
    STORE.create(MAPS.table, "n", _name, {"metadata": {"name": _name, "namespace": "n"}})

texts = st.text(max_size=12) | st.sampled_from(
    ["0", "1", "true", "99999999999999999999", "-1", "Exact", "NotOlderThan", "All"]
)
queries = st.dictionaries(
    st.sampled_from(
        ["limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector", "watch"]
        + ["sendInitialEvents", "allowWatchBookmarks", "timeoutSeconds", "includeObject", "dryRun", "fieldManager"]
        + ["fieldValidation", "force", "gracePeriodSeconds", "propagationPolicy"]
    ),
    texts,
    max_size=5,
)


@given(queries, texts)
def test_any_query_is_read_or_refused(query: dict[str, str], accept: str) -> None:
    target = Target("", "v1", "configmaps", "n")

    def attempt(action: Any) -> None:
        try:
            action()
        except StatusError as error:
            assert error.code in (400, 406, 410, 422, 504)

    attempt(lambda: Form.parse(accept, query, lambda: 0.0))
    attempt(lambda: list_page(STORE, Selection.parse(MAPS, "n", "", query), query))
    attempt(lambda: Watch(STORE, Selection.parse(MAPS, "n", "", query), Form(), query).close())
    attempt(lambda: read_call(MAPS, "patch", SERVER, target, query, headers={"User-Agent": accept}, may_create=dict))
    attempt(lambda: DeleteOptions.parse(None, query))


@given(st.integers(1, 5))
def test_pages_together_are_the_list(limit: int) -> None:
    selection = Selection.parse(MAPS, "n", "", {})
    query = {"limit": str(limit)}
    names: list[str] = []
    while True:
        page = list_page(STORE, selection, query)
        names += [entry.name for entry in page.entries]
        if not page.token:
            break
        query["continue"] = page.token
    assert names == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("accept", "shape"),
    [
        ("", ""),
        ("*/*", ""),
        ("application/json", ""),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io", "Table"),
        ("application/json; as=PartialObjectMetadataList; g=meta.k8s.io; v=v1", "PartialObjectMetadata"),
        ("application/vnd.kubernetes.protobuf,application/json", ""),
        ("application/json;as=Picture;v=v1;g=meta.k8s.io,application/json", ""),
        ("application/yaml", ""),
    ],
)
def test_the_first_form_that_we_have_is_taken(accept: str, shape: str) -> None:
    assert Form.parse(accept, {}, lambda: 0.0).shape == shape


def test_the_manager_is_the_product_of_the_user_agent() -> None:
    target = Target("", "v1", "configmaps", "n")
    for agent, name in (("kubectl/v1.32 (linux)", "kubectl"), ("", "unknown"), ("x" * 200, "x" * 128)):
        made = read_call(MAPS, "update", SERVER, target, {}, headers={"User-Agent": agent}, may_create=dict)
        assert made.manager == name


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (None, DeleteOptions()),
        ({"gracePeriodSeconds": 0, "propagationPolicy": "Foreground"}, DeleteOptions(0, "Foreground")),
        ({"orphanDependents": True}, DeleteOptions(None, "Orphan")),
        ({"preconditions": {"uid": "u", "resourceVersion": "7"}}, DeleteOptions(None, "", "u", "7")),
    ],
)
def test_delete_options(document: Any, wanted: DeleteOptions) -> None:
    assert DeleteOptions.parse(document, {}) == wanted


@pytest.mark.parametrize(
    "document", [{"propagationPolicy": "Never"}, {"gracePeriodSeconds": "x"}, {"preconditions": [1]}]
)
def test_delete_options_that_make_no_sense(document: Any) -> None:
    with pytest.raises(StatusError) as caught:
        DeleteOptions.parse(document, {})
    assert caught.value.code in (400, 422)


def fields(kind: Kind, **metadata: Any) -> list[str]:
    return [cause.field for cause in meta.validate(kind, {"metadata": {"name": "a", **metadata}}, None)]


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": "A"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"labels": {"a b": "x"}}, "metadata.labels"),
        ({"labels": {"a": "x y"}}, "metadata.labels"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"labels": {"UP/a": "x"}}, "metadata.labels"),
        ({"annotations": {"/a": "x"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * 300_000}}, "metadata.annotations"),
        ({"ownerReferences": [{"apiVersion": "v1", "kind": "X", "name": "x"}]}, "metadata.ownerReferences[0].uid"),
        ({"finalizers": ["plain"]}, "metadata.finalizers[0]"),
    ],
)
def test_metadata_that_is_refused(metadata: dict[str, Any], field: str) -> None:
    assert field in fields(MAPS, **metadata)


def test_names_that_only_some_kinds_may_have() -> None:
    assert fields(kind_of("rbac.authorization.k8s.io", "clusterroles"), name="system:x") == []
    assert fields(MAPS, name="a.b-c") == [] and fields(kind_of("", "namespaces"), name="a.b") == ["metadata.name"]
    assert fields(kind_of("", "services"), name="1a") == ["metadata.name"]


@given(
    st.dictionaries(st.text(max_size=4), st.none() | st.integers() | st.lists(st.integers(), max_size=1), max_size=3)
)
def test_metadata_of_the_wrong_shape_is_found_before_it_is_used(metadata: dict[str, Any]) -> None:
    for key in ("name", "labels", "finalizers", "ownerReferences", "managedFields"):
        assert meta.shape_error({"metadata": {**metadata, key: [7]}}).startswith("metadata")
