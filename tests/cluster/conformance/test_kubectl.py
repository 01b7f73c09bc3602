"""What kubectl does around the verbs: several objects at once, waiting, categories, preconditions.

The verbs one by one, and what they print, have a suite of their own beside this one.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from crds.client.resources import Resource
from tests.cluster.conftest import Kubectl

Object = dict[str, Any]


def manifest(name: str = "w", **spec: Any) -> str:
    body = {
        "apiVersion": "conformance.xtrinode.io/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": "s", **spec},
    }
    return yaml.safe_dump(body)


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}\n"


def loaded(done: subprocess.CompletedProcess[str]) -> Object:
    document: Object = json.loads(done.stdout)
    return document


@pytest.fixture
def kubectl(kubectl: Kubectl, widgets: Resource) -> Kubectl:
    """With the custom resource served."""
    return kubectl


def test_many_documents_come_and_go_in_one_file(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(f"{CONFIG_MAP}---\n{manifest()}")
    assert kubectl("apply", "-f", str(file)).stdout.count("created") == 2
    assert kubectl("delete", "-f", str(file)).stdout.count("deleted") == 2


def test_several_kinds_and_categories(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=manifest())
    kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    both = kubectl("get", "cm/c", "wd/w", "-o", "name").stdout.split()
    assert both == ["configmap/c", "widget.conformance.xtrinode.io/w"]
    assert "widget.conformance.xtrinode.io/w" in kubectl("get", "conformance", "-o", "name").stdout


def test_everything_of_a_kind_is_deleted(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=manifest())
    kubectl("create", "-f", "-", stdin=manifest("v"))
    assert kubectl("delete", "wd", "--all").stdout.count("deleted") == 2


def test_a_finalizer_keeps_it_waiting(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=manifest().replace("name: w", "name: w\n  finalizers: [test.io/wait]"))
    kubectl("delete", "wd", "w", "--wait=false")
    assert kubectl("delete", "wd", "w", "--timeout=1s", check=False).returncode == 1
    kubectl("patch", "wd", "w", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    kubectl("wait", "--for=delete", "wd/w", "--timeout=10s")


def test_wait_for_a_field_of_the_status(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=manifest())
    late = kubectl("wait", "--for=jsonpath={.status.phase}=Ready", "wd/w", "--timeout=1s", check=False)
    assert late.returncode == 1 and "timed out" in late.stderr
    kubectl("patch", "wd", "w", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    assert "condition met" in kubectl("wait", "--for=jsonpath={.status.phase}=Ready", "wd/w", "--timeout=10s").stdout
    assert kubectl("get", "wd").stdout.splitlines()[1].split()[:3] == ["w", "s", "Ready"]


def test_preconditions_of_scale_and_replace(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=manifest(replicas=1))
    stored = loaded(kubectl("get", "wd", "w", "-o", "json"))
    assert "scaled" in kubectl("scale", "wd/w", "--replicas=4", "--current-replicas=1").stdout
    assert kubectl("scale", "wd/w", "--replicas=5", "--current-replicas=2", check=False).returncode == 1
    assert "Conflict" in kubectl("replace", "-f", "-", stdin=json.dumps(stored), check=False).stderr


def test_client_side_apply_prunes_its_own(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
    kubectl("patch", "cm", "c", "--type=merge", "-p", '{"data":{"x":"9"}}')
    kubectl("apply", "-f", "-", stdin=CONFIG_MAP.replace("b: '2'", "c: '3'"))
    assert loaded(kubectl("get", "cm", "c", "-o", "json"))["data"] == {"a": "1", "c": "3", "x": "9"}
    kubectl("apply", "-f", "-", stdin=manifest(note="a"))
    kubectl("apply", "-f", "-", stdin=manifest(replicas=2))
    assert loaded(kubectl("get", "wd", "w", "-o", "json"))["spec"] == {"size": "s", "mode": "auto", "replicas": 2}


def test_a_wrong_number_is_refused_with_its_path(kubectl: Kubectl) -> None:
    refused = kubectl("apply", "-f", "-", stdin=manifest(replicas="3"), check=False)
    assert refused.returncode == 1 and "spec.replicas" in refused.stderr


def test_typed_workloads_are_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=nginx", "--replicas=0", "--port=80")
    kubectl("create", "service", "clusterip", "s", "--tcp=80:8080")
    stored = loaded(kubectl("get", "deploy", "d", "-o", "json"))
    assert stored["spec"]["replicas"] == 0
    assert stored["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 80
    assert loaded(kubectl("get", "svc", "s", "-o", "json"))["spec"]["ports"][0]["targetPort"] == 8080


def test_who_am_i(kubectl: Kubectl) -> None:
    info = loaded(kubectl("auth", "whoami", "-o", "json", "--as=alice", "--as-group=dev"))["status"]["userInfo"]
    assert info["username"] == "alice" and "dev" in info["groups"]
