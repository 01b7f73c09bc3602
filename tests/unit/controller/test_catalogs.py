"""A catalog: one ConfigMap without secrets, a status that says what is wrong, and selection by labels."""

from __future__ import annotations

import pytest

from controller.actions import Apply, Delete
from controller.catalogs import plan_catalog
from controller.observed import CatalogFacts, Observed, Source
from controller.selection import catalog_digest, checked_catalog, matches, select
from crds.v1.fields import LabelSelector
from crds.v1.meta import parse
from crds.v1.shape import resolve
from tests.support.runtimes import NOW, catalog, child, runtime

JDBC = {
    "connector": {
        "postgres": {
            "connectionURL": "jdbc:postgresql://db/x",
            "connectionPasswordSecret": {"name": "db", "key": "password"},
        }
    }
}


def test_a_catalog_becomes_one_config_map_whose_password_is_a_placeholder():
    planned = plan_catalog(catalog("orders", JDBC), (), "", NOW)
    (apply,) = planned.actions
    assert isinstance(apply, Apply)
    assert apply.ref.name == "trino-catalog-orders"
    text = apply.manifest["data"]["orders.properties"]
    assert text.startswith("connector.name=postgresql\n")
    assert "connection-password=${ENV:" in text
    assert planned.status["phase"] == "Ready"
    assert planned.status["configMapName"] == "trino-catalog-orders"


def test_an_old_config_map_of_the_catalog_is_removed():
    planned = plan_catalog(catalog("orders"), (child("ConfigMap", "trino-catalog-old"),), "", NOW)
    assert [a.ref.name for a in planned.actions if isinstance(a, Delete)] == ["trino-catalog-old"]


def test_a_catalog_that_cannot_be_used_says_why_and_changes_nothing():
    plain = {"connector": {"custom": {"connectorName": "x", "properties": {"connection-password": "hunter2"}}}}
    planned = plan_catalog(catalog("bad", plain), (child("ConfigMap", "trino-catalog-bad"),), "", NOW)
    assert planned.actions == ()
    assert planned.status["phase"] == "Error"
    assert "connection-password" in planned.status["message"]
    assert "hunter2" not in planned.status["message"]


def test_its_time_moves_only_with_its_content():
    x = catalog("orders")
    first = plan_catalog(x, (), "", NOW)
    same = catalog_digest(checked_catalog(x))
    updated = x.model_copy(update={"status": type(x.status).model_validate(first.status)})
    later = NOW.replace(hour=20)
    assert plan_catalog(updated, (), same, later).status == first.status


def selection(*catalogs, spec=None, published=True, sources=None):
    x = runtime(spec or {"catalogSelector": {}})
    facts = tuple(CatalogFacts(c, catalog_digest(checked_catalog(c)) if published else "") for c in catalogs)
    return select(x, resolve(x), Observed(catalogs=facts, sources=sources or {}))


def test_labels_of_metadata_and_of_spec_select():
    by_meta = catalog("one", labels={"team": "a"})
    by_spec = catalog("two", {"connector": {"tpch": {}}, "labels": {"team": "a"}})
    other = catalog("three", labels={"team": "b"})
    found = selection(by_meta, by_spec, other, spec={"catalogSelector": {"matchLabels": {"team": "a"}}})
    assert found.names == ["one", "two"]


def test_of_two_catalogs_with_one_name_the_older_is_taken_and_the_other_named():
    older = catalog("one", {"connector": {"tpch": {}}, "catalogName": "sales"})
    newer = catalog(
        "two", {"connector": {"tpch": {}}, "catalogName": "sales"}, creationTimestamp="2026-01-02T00:00:00Z"
    )
    found = selection(newer, older)
    assert [c.config_map for c in found.catalogs] == ["trino-catalog-one"]
    assert "catalog two" in found.unusable[0]


def test_pods_wait_until_the_config_map_says_what_the_catalog_says():
    assert selection(catalog("one"), published=False).unpublished == ("one",)
    assert selection(catalog("one")).unpublished == ()


def test_a_catalogs_missing_secret_is_named_with_its_catalog():
    (told,) = selection(catalog("orders", JDBC)).missing
    assert "Secret db does not exist; create it with key password" in told
    assert "XTrinodeCatalog orders" in told
    assert (
        selection(catalog("orders", JDBC), sources={("Secret", "db"): Source(frozenset({"password"}), "d")}).missing
        == ()
    )


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors_mean_what_they_mean_in_kubernetes(selector, expected):
    assert matches(parse(LabelSelector, selector), {"a": "1"}) is expected
