"""Resources: paths are what the API server expects, and no path can mean more than it says."""

import pytest

from crds.client.resources import ALL, CONFIG_MAPS, NAMESPACES, PODS, XTRINODES, Resource, resource_for


def test_core_and_group_paths() -> None:
    assert PODS.path("ns", "a") == "/api/v1/namespaces/ns/pods/a"
    assert XTRINODES.path("ns", "a", "status") == "/apis/analytics.xtrinode.io/v1/namespaces/ns/xtrinodes/a/status"
    assert PODS.path() == "/api/v1/pods"
    assert NAMESPACES.path(None, "ns") == "/api/v1/namespaces/ns"


def test_a_name_is_one_path_segment() -> None:
    assert CONFIG_MAPS.path("ns", "a/../b") == "/api/v1/namespaces/ns/configmaps/a%2F..%2Fb"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_address_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an object"):
        PODS.path("ns", name)
    with pytest.raises(ValueError, match="no namespace of an object"):
        PODS.path(name, "a")


def test_a_namespaced_object_needs_its_namespace() -> None:
    with pytest.raises(ValueError, match="lives in a namespace"):
        PODS.path(None, "a")


def test_a_subresource_needs_a_name() -> None:
    with pytest.raises(ValueError, match="needs an object's name"):
        PODS.path("ns", None, "status")


def test_known_kinds_are_found_by_apiversion_and_kind() -> None:
    assert resource_for("apps/v1", "Deployment").plural == "deployments"
    assert resource_for("v1", "Event") != resource_for("events.k8s.io/v1", "Event")
    for resource in ALL:
        assert resource_for(resource.api_version, resource.kind) is resource


def test_an_unknown_apiversion_names_the_known_one() -> None:
    with pytest.raises(LookupError, match="known with apiVersion apps/v1"):
        resource_for("extensions/v1beta1", "Deployment")


def test_no_two_resources_share_a_path() -> None:
    assert len({resource.path() for resource in ALL}) == len(ALL)
    assert Resource("g", "v1", "things", "Thing").api_version == "g/v1"
