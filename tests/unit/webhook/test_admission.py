"""What an admission request comes to: defaults, errors with paths, permissions asked only for what changes."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest

from crds.v1.meta import ALLOW_BREAKING_UPDATE, BREAKING_UPDATE_REASON, parse
from crds.v1.xtrinode import XTrinode
from webhook.admission import decide, judge, mutate
from webhook.review import Request, User

RUNTIME: dict[str, Any] = {
    "apiVersion": "analytics.xtrinode.io/v1",
    "kind": "XTrinode",
    "metadata": {"name": "a", "namespace": "team"},
    "spec": {"size": "m", "minWorkers": 0, "maxWorkers": 2},
}
CATALOG: dict[str, Any] = {
    "apiVersion": "analytics.xtrinode.io/v1",
    "kind": "XTrinodeCatalog",
    "metadata": {"name": "sales", "namespace": "team"},
    "spec": {
        "connector": {
            "postgres": {
                "connectionURL": "jdbc:postgresql://db:5432/sales",
                "connectionUser": "trino",
                "connectionPasswordSecret": {"name": "sales-db", "key": "password"},
            }
        }
    },
}


def request(new: dict[str, Any] | None, old: dict[str, Any] | None = None, **changes: Any) -> Request:
    obj = new or old or RUNTIME
    fields: dict[str, Any] = {
        "uid": "1",
        "operation": "CREATE" if old is None else "UPDATE",
        "group": "analytics.xtrinode.io",
        "kind": obj["kind"],
        "resource": "xtrinodes" if obj["kind"] == "XTrinode" else "xtrinodecatalogs",
        "subresource": "",
        "namespace": "team",
        "name": obj["metadata"]["name"],
        "user": User("alice"),
        "object": new,
        "old_object": old,
    }
    return Request(**{**fields, **changes})


def changed(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    new = copy.deepcopy(obj)
    new["spec"].update(spec)
    return new


def asked(new: dict[str, Any], old: dict[str, Any] | None = None) -> set[tuple[str, str]]:
    found = judge(request(new, old))
    assert not found.errors, found.errors
    return {(access.subresource or access.resource, access.name) for access in found.accesses}


def test_good_runtime_is_admitted_without_questions() -> None:
    judgement = judge(request(RUNTIME))
    assert (judgement.errors, judgement.accesses) == ((), ())


def test_every_wrong_field_is_named_at_once() -> None:
    errors = judge(request(changed(RUNTIME, size="xxl", minWorkers=-1, typo=1))).errors
    assert {error.path for error in errors} == {"spec.size", "spec.minWorkers", "spec.typo"}


def test_rule_between_fields_is_judged() -> None:
    errors = judge(request(changed(RUNTIME, minWorkers=5))).errors
    assert any("maxWorkers" in str(error) or "minWorkers" in str(error) for error in errors)


def test_defaulting_patch_makes_exactly_the_defaulted_object() -> None:
    from crds.v1.defaulting import default_xtrinode

    sloppy = changed(RUNTIME, size="M")
    patched = jsonpatch.apply_patch(sloppy, list(mutate(request(sloppy)).patch))
    assert patched == default_xtrinode(sloppy)
    assert mutate(request(patched)).patch == ()


def test_object_that_has_no_spec_is_left_to_validation() -> None:
    broken = {**RUNTIME, "spec": "m"}
    assert mutate(request(broken)).patch == ()
    assert judge(request(broken)).errors


@pytest.mark.parametrize(
    ("spec", "privilege"),
    [
        ({"valuesOverlay": {"commonLabels": {"a": "b"}}}, "valuesoverlay"),
        ({"helmChartConfig": {"imagePullSecrets": []}}, "valuesoverlay"),
        ({"keda": {"jmxExporter": {"enabled": True, "image": "evil/image:1"}}}, "images"),
    ],
)
def test_privileged_field_needs_its_permission_when_it_changes(spec: dict[str, Any], privilege: str) -> None:
    new = changed(RUNTIME, **spec)
    assert (privilege, "") in asked(new)
    assert (privilege, "") in asked(new, RUNTIME)
    assert (privilege, "") in asked(RUNTIME, new), "taking it away is a change as well"
    assert asked(changed(new, suspended=True), new) == set(), "an edit elsewhere needs nothing"


def test_secret_is_asked_about_when_it_is_newly_named() -> None:
    assert asked(CATALOG) == {("secrets", "sales-db")}
    labelled = copy.deepcopy(CATALOG)
    labelled["spec"]["labels"] = {"team": "sales"}
    assert asked(labelled, CATALOG) == set()
    other = copy.deepcopy(CATALOG)
    other["spec"]["connector"]["postgres"]["connectionPasswordSecret"]["name"] = "other"
    assert asked(other, CATALOG) == {("secrets", "other")}


@pytest.mark.parametrize(
    "change",
    [
        {"connectionURL": "jdbc:postgresql://mine:5432/sales"},
        {"connectionUser": "other"},
        {"properties": {"socket-factory": "x"}},
    ],
)
def test_whoever_says_where_a_secret_is_sent_must_be_allowed_to_read_it(change: dict[str, Any]) -> None:
    new = copy.deepcopy(CATALOG)
    new["spec"]["connector"]["postgres"].update(change)
    assert asked(new, CATALOG) == {("secrets", "sales-db")}


def test_secrets_of_a_block_that_changes_are_asked_about_and_no_others() -> None:
    secret = {"name": "control", "key": "password"}
    exchange = {"properties": {"exchange.s3.region": "a"}, "propertySecretRefs": {"exchange.s3.aws-secret-key": secret}}
    old = changed(
        RUNTIME,
        trinoControlAuth={"passwordSecret": {"name": "login", "key": "k"}},
        faultTolerantExecution={"exchangeManager": exchange},
    )
    elsewhere = copy.deepcopy(old)
    elsewhere["spec"]["faultTolerantExecution"]["exchangeManager"]["properties"] = {"exchange.s3.endpoint": "http://me"}
    assert asked(elsewhere, old) == {("secrets", "control")}
    renamed = copy.deepcopy(old)
    renamed["spec"]["trinoControlAuth"]["username"] = "me"
    assert asked(renamed, old) == {("secrets", "login")}


def test_order_of_a_list_names_no_secret_anew() -> None:
    mounts = [{"name": name, "secretName": name, "path": f"/{name}"} for name in ("one", "two")]
    old = changed(RUNTIME, helmChartConfig={"secretMounts": mounts})
    new = changed(RUNTIME, helmChartConfig={"secretMounts": mounts[::-1]})
    assert asked(new, old) == {("valuesoverlay", "")}


def test_refusal_names_the_field_that_needs_the_images_permission() -> None:
    containers = {"worker": [{"name": "i", "image": "x"}]}
    accesses = judge(request(changed(RUNTIME, helmChartConfig={"initContainers": containers}))).accesses
    assert {access.field for access in accesses if access.subresource == "images"} == {
        "spec.helmChartConfig.initContainers"
    }


def test_new_object_cannot_say_that_it_is_leaving() -> None:
    """The API server clears or refuses such a timestamp; nothing here depends on that."""
    metadata = {**RUNTIME["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert judge(request({**changed(RUNTIME, size="nonsense"), "metadata": metadata})).errors
    assert judge(request({**changed(RUNTIME, size="nonsense"), "metadata": metadata}, RUNTIME)).errors


def test_bottomless_object_is_refused_in_words() -> None:
    bottom: dict[str, Any] = {}
    deep = bottom
    for _ in range(900):
        deep["a"] = {}
        deep = deep["a"]
    new = request(changed(RUNTIME, valuesOverlay=bottom))
    assert mutate(new).patch == ()
    (error,) = judge(new).errors
    assert "nested" in error.message


def test_breaking_edit_needs_the_annotations_and_the_permission() -> None:
    smaller = changed(RUNTIME, size="s")
    (error,) = judge(request(smaller, RUNTIME)).errors
    assert ALLOW_BREAKING_UPDATE in error.message
    smaller["metadata"]["annotations"] = {ALLOW_BREAKING_UPDATE: "true", BREAKING_UPDATE_REASON: "cost"}
    assert asked(smaller, RUNTIME) == {("breakglass", "")}


@pytest.mark.parametrize(
    "same",
    [
        request({**RUNTIME, "metadata": {"name": "a", "namespace": "team", "labels": {"x": "y"}}}, RUNTIME),
        request(None, RUNTIME, operation="DELETE"),
        request(changed(RUNTIME, size="nonsense"), RUNTIME, subresource="status"),
    ],
    ids=["labels", "delete", "status"],
)
def test_what_leaves_the_spec_alone_passes(same: Request) -> None:
    judgement = judge(same)
    assert (judgement.errors, judgement.accesses) == ((), ())


def test_object_that_is_being_deleted_may_lose_its_finalizer_whatever_its_spec() -> None:
    old = changed(RUNTIME, size="nonsense")
    old["metadata"] = {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"]}
    new = copy.deepcopy(old)
    new["metadata"]["finalizers"] = []
    new["spec"]["typo"] = 1
    assert judge(request(new, old)).errors == ()
    assert mutate(request(new, old)).patch == ()


def test_what_was_admitted_once_may_stay_while_something_else_changes() -> None:
    old = changed(RUNTIME, minWorkers=5)  # today's rules refuse it
    assert judge(request(old)).errors
    assert judge(request(changed(old, suspended=True), old)).errors == ()


def test_namespace_of_the_request_stands_in_for_a_missing_one() -> None:
    nameless = copy.deepcopy(CATALOG)
    del nameless["metadata"]["namespace"]
    (access,) = judge(request(nameless)).accesses
    assert access.namespace == "team"


def test_refused_permission_is_forbidden_and_says_how_to_get_it() -> None:
    judgement = judge(request(changed(RUNTIME, valuesOverlay={"commonLabels": {"a": "b"}})))
    (access,) = judgement.accesses
    decision = decide(judgement, (access.refusal("alice", "no RBAC policy matched"),))
    assert not decision.allowed
    assert decision.forbidden
    assert "xtrinodes/valuesoverlay" in str(decision.errors[0])
    assert "alice" in str(decision.errors[0])


def test_object_that_todays_types_cannot_read_may_sleep_and_nothing_more() -> None:
    old = changed(RUNTIME, typo=1)
    assert judge(request(changed(old, suspended=True), old)).errors == ()
    assert judge(request(changed(old, valuesOverlay={"commonLabels": {"a": "b"}}), old)).errors
    assert judge(request(changed(old, suspended="yes"), old)).errors


def test_selector_that_another_runtime_has_is_refused() -> None:
    other = parse(
        XTrinode,
        {**changed(RUNTIME, routing={"hostname": "bi.example.com"}), "metadata": {"name": "b", "namespace": "x"}},
    )
    wanting = changed(RUNTIME, routing={"hostname": "BI.example.com"})
    (error,) = judge(request(wanting), [other]).errors
    assert error.path == "spec.routing.hostname"
    assert judge(request(wanting), []).errors == ()
