"""Names fit where they are put, and two different things never get the same one.

Plan: budgets hold at their limit; volume and environment names are valid and distinct for hostile inputs.
"""

import re

from hypothesis import given
from hypothesis import strategies as st

from crds.v1 import names

LONGEST = "a" * names.MAX_RUNTIME_NAME


def test_every_name_of_the_longest_runtime_fits():
    for name_of in (
        names.coordinator_deployment,
        names.worker_deployment,
        names.coordinator_service,
        names.worker_service,
        names.coordinator_metrics_service,
        names.worker_metrics_service,
        names.scaled_object,
    ):
        assert len(name_of(LONGEST)) <= 63
    assert max(len(names.worker_metrics_service(LONGEST)), 0) == 63


def test_a_catalog_never_takes_the_config_map_of_another():
    assert names.catalog_config_map("foo") != names.catalog_config_map("trino-catalog-foo")


def test_the_coordinator_is_reached_by_its_service():
    assert names.coordinator_url("a", "b", 8080) == "http://trino-a.b.svc.cluster.local:8080"


object_names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)


@given(st.sampled_from(["ConfigMap", "Secret"]), object_names)
def test_a_volume_name_is_a_dns_label(kind, source):
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", names.volume_name(kind, source))


@given(st.tuples(object_names, st.text("abc.-_:", min_size=1)), st.tuples(object_names, st.text("abc.-_:", min_size=1)))
def test_environment_names_are_valid_and_collide_for_nothing(one, other):
    made = names.env_name("CATALOG", *one)
    assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", made)
    assert (made == names.env_name("CATALOG", *other)) == (one == other)


def test_environment_names_that_once_collided_do_not():
    assert names.env_name("CATALOG", "a", "b-c.d") != names.env_name("CATALOG", "a-b", "c.d")
    assert names.env_name("CATALOG", "c", "x.y") != names.env_name("CATALOG", "c", "x-y")
