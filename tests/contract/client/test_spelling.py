"""The group and version are spelt twice, because the client must not import pydantic: the copies agree."""

from crds.client import resources
from crds.v1 import meta


def test_the_client_spells_the_group_and_version_of_the_contract() -> None:
    assert resources.XTRINODE_GROUP == meta.GROUP
    assert resources.XTRINODE_VERSION == meta.VERSION
