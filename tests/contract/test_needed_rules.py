"""Which rules an account needed, as tests of the shipped ones judge it from the API server's audit log."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import Calls, unused

ACCOUNT = "xtrinode-system:xtrinode-webhook"


def calls(path: Path, *asked: tuple[str, str, str, str, int]) -> Calls:
    """A log of (verb, resource, namespace, name, answer)."""
    with path.open("w") as log:
        for number, (verb, resource, namespace, name, code) in enumerate(asked):
            resource, _, subresource = resource.partition("/")
            about = {"resource": resource, "subresource": subresource, "namespace": namespace, "name": name}
            event = {
                "auditID": str(number),
                "verb": verb,
                "user": {"username": f"system:serviceaccount:{ACCOUNT}"},
                "objectRef": about,
                "responseStatus": {"code": code},
            }
            log.write(json.dumps(event) + "\n")
    return Calls(path)


def role(*rules: tuple[str, str], namespace: str = "", names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Rules of (verbs, resource)."""
    found = [{"apiGroups": [""], "resources": [resource], "verbs": verbs.split()} for verbs, resource in rules]
    return {
        "metadata": {"namespace": namespace} if namespace else {},
        "rules": [{**rule, "resourceNames": list(names)} if names else rule for rule in found],
    }


def test_what_nobody_asked_for_is_named(tmp_path: Path):
    found = calls(tmp_path / "log", ("list", "pods", "", "", 200), ("get", "pods/log", "team", "a", 200))
    assert unused([role(("list watch", "pods"), ("get", "pods/log"))], found) == {"watch pods"}


def test_an_apply_that_makes_its_object_needs_create_too(tmp_path: Path):
    roles = [role(("create patch", "services"))]
    assert unused(roles, calls(tmp_path / "log", ("patch", "services", "team", "a", 201))) == set()
    assert unused(roles, calls(tmp_path / "log", ("patch", "services", "team", "a", 200))) == {"create services"}


def test_of_two_that_answer_only_the_narrower_is_needed(tmp_path: Path):
    found = calls(tmp_path / "log", ("get", "leases", "xtrinode-system", "x", 200))
    wide, narrow = role(("get", "leases")), role(("get", "leases"), namespace="xtrinode-system")
    assert unused([wide, narrow], found) == {"get leases"}
    named = role(("get", "leases"), namespace="xtrinode-system", names=("x",))
    assert unused([narrow, named], found) == {"get leases in xtrinode-system"}


@pytest.mark.parametrize(
    ("namespace", "left"), [("xtrinode-gateway", {"list configmaps"}), ("team", set()), ("", set())]
)
def test_a_cluster_role_is_not_needed_where_a_role_would_do(tmp_path: Path, namespace: str, left: set[str]):
    found = calls(tmp_path / "log", ("list", "configmaps", namespace, "", 200))
    assert unused([role(("list", "configmaps"))], found) == left


def test_a_call_is_counted_once_and_a_line_that_is_being_written_is_left(tmp_path: Path):
    found = calls(tmp_path / "log", ("get", "pods", "team", "a", 403), ("get", "pods", "team", "b", 200))
    line = (tmp_path / "log").read_bytes().splitlines(keepends=True)[0]
    with (tmp_path / "log").open("ab") as log:
        log.write(line + b'{"auditID": "9", "verb"')
    assert [call.name for call in found] == ["a", "b"]
    assert [call.name for call in found.refused()] == ["a"]
    assert len(found.of(ACCOUNT)) == 2
    assert found.of("xtrinode-system:somebody") == []
    assert list(Calls.since(tmp_path / "log")) == []
