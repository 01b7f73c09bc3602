"""What the plugin spells a second time to start quickly is what the contract says."""

from __future__ import annotations

from crds.client import resources
from crds.v1 import meta, routes
from kubectl_xtrinode.commands import get, resume


def test_annotations_are_the_contracts() -> None:
    assert (resume.WAKE_MIN_WORKERS, resume.WAKE_TTL) == (meta.WAKE_MIN_WORKERS, meta.WAKE_TTL)


def test_group_and_version_are_the_contracts() -> None:
    assert (resources.XTRINODE_GROUP, resources.XTRINODE_VERSION) == (meta.GROUP, meta.VERSION)


def test_routes_are_looked_for_where_the_controller_writes_them() -> None:
    (option,) = [one for one in get.command.params if one.name == "gateway_namespace"]
    assert option.default == routes.GATEWAY_NAMESPACE
