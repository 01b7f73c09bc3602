"""Nobody takes a selector that another has, by creation or by edit; groups share on purpose."""

import pytest

from crds.v1.meta import parse
from crds.v1.route_rules import contested, selectors
from crds.v1.xtrinode import XTrinode


def make(namespace, name, **routing):
    spec = {"size": "s", "routing": routing} if routing else {"size": "s"}
    return parse(XTrinode, {"metadata": {"namespace": namespace, "name": name}, "spec": spec})


def paths(new, *others, old=None):
    return [error.path for error in contested(new, old, others)]


@pytest.mark.parametrize(
    ("mine", "theirs", "path"),
    [
        ({"hostname": "A.io"}, {"hostname": "a.io"}, "spec.routing.hostname"),
        ({"hostnameDomain": "io"}, {"hostname": "a--x.io"}, "spec.routing.hostnameDomain"),
        ({"header": "v"}, {"header": "X-Trino-XTrinode=v"}, "spec.routing.header"),
        ({"default": True}, {"default": True}, "spec.routing.default"),
    ],
)
def test_a_selector_that_another_has_is_refused(mine, theirs, path):
    new, other = make("a", "x", **mine), make("b", "y", **theirs)
    assert paths(new, other) == [path]
    assert paths(new, other, old=make("a", "x")) == [path]
    (error,) = contested(new, None, [other])
    assert "b/y" not in str(error)


def test_what_one_has_already_is_kept():
    new = make("a", "x", hostname="a.io", capacityUnits=2)
    assert paths(new, make("b", "y", hostname="a.io"), old=make("a", "x", hostname="a.io")) == []


def test_the_built_in_name_of_another_is_taken():
    assert paths(make("a", "x", header="a/y"), make("a", "y")) == ["spec.routing.header"]
    assert paths(make("a", "x", header="a/x"), make("a", "y")) == []


def test_a_runtime_does_not_contest_itself():
    assert paths(make("a", "x", hostname="a.io"), make("a", "x", hostname="a.io")) == []


def test_a_group_of_one_namespace_shares():
    pool = {"routingGroup": "g", "hostname": "g.io", "default": True}
    assert paths(make("a", "x", **pool), make("a", "y", **pool)) == []
    assert paths(make("a", "x", **pool), make("b", "y", **pool)) == ["spec.routing.hostname", "spec.routing.default"]
    assert paths(make("a", "x", **pool), make("a", "y", hostname="g.io")) == ["spec.routing.hostname"]


def test_the_owner_is_named_within_the_namespace():
    (error,) = contested(make("a", "x", header="v"), None, [make("a", "y", header="v")])
    assert "a/y" in error.message
    assert error.kind == "Duplicate"


def test_selectors_are_what_clients_use():
    assert selectors(make("a", "x")) == {}
    assert selectors(make("a", "x", header="a/x", hostnameDomain="io")) == {"hostname": "a--x.io"}
    assert selectors(make("a", "x", routingGroup="a--x", hostname="h")) == {"hostname": "h"}
