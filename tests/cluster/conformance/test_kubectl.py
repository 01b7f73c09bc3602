"""The stock kubectl, verb by verb: what a person types works, and says what it says on any cluster."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from crds.client.resources import Resource
from tests.cluster.conftest import Kubectl

Object = dict[str, Any]


def manifest(**spec: Any) -> str:
    body = {
        "apiVersion": "conformance.xtrinode.io/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"size": "s", **spec},
    }
    return yaml.safe_dump(body)


CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: '1', b: '2'}\n"
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, labels: {app: d}}
spec:
  replicas: 0
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {containers: [{name: main, image: one}]}
"""


def loaded(done: subprocess.CompletedProcess[str]) -> Object:
    document: Object = json.loads(done.stdout)
    return document


@pytest.fixture
def kubectl(kubectl: Kubectl, widgets: Resource) -> Kubectl:
    """With the custom resource served."""
    return kubectl


class TestApply:
    def test_client_side_creates_changes_and_prunes_its_own(self, kubectl: Kubectl) -> None:
        assert "configmap/c created" in kubectl("apply", "-f", "-", stdin=CONFIG_MAP).stdout
        assert "configmap/c unchanged" in kubectl("apply", "-f", "-", stdin=CONFIG_MAP).stdout
        changed = CONFIG_MAP.replace("b: '2'", "c: '3'")
        assert "configmap/c configured" in kubectl("apply", "-f", "-", stdin=changed).stdout
        assert loaded(kubectl("get", "cm", "c", "-o", "json"))["data"] == {"a": "1", "c": "3"}

    def test_client_side_on_custom_resources(self, kubectl: Kubectl) -> None:
        assert (
            "widget.conformance.xtrinode.io/w created" in kubectl("apply", "-f", "-", stdin=manifest(note="a")).stdout
        )
        assert "configured" in kubectl("apply", "-f", "-", stdin=manifest(replicas=2)).stdout
        spec = loaded(kubectl("get", "wd", "w", "-o", "json"))["spec"]
        assert spec == {"size": "s", "mode": "auto", "replicas": 2}

    def test_client_side_merges_a_deployment(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        kubectl("set", "image", "deployment/d", "main=two")
        kubectl(
            "apply", "-f", "-", stdin=DEPLOYMENT.replace("labels: {app: d}}\nspec", "labels: {app: d, x: z}}\nspec")
        )
        stored = loaded(kubectl("get", "deploy", "d", "-o", "json"))
        assert stored["metadata"]["labels"] == {"app": "d", "x": "z"}
        assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == "one"

    def test_server_side_and_its_conflicts(self, kubectl: Kubectl) -> None:
        done = kubectl("apply", "--server-side", "-f", "-", stdin=manifest(note="a"))
        assert "serverside-applied" in done.stdout
        other = ["apply", "--server-side", "--field-manager=other", "-f", "-"]
        refused = kubectl(*other, stdin=manifest(note="b"), check=False)
        assert refused.returncode == 1 and 'conflict with "kubectl": .spec.note' in refused.stderr
        kubectl(*other, "--force-conflicts", stdin=manifest(note="b"))
        assert loaded(kubectl("get", "wd", "w", "-o", "json"))["spec"]["note"] == "b"

    def test_a_server_dry_run_and_a_diff_change_nothing(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=manifest(note="a"))
        dry = kubectl("apply", "--dry-run=server", "-f", "-", stdin=manifest(note="b"))
        assert "(server dry run)" in dry.stdout
        different = kubectl("diff", "-f", "-", stdin=manifest(note="b"), check=False)
        assert different.returncode == 1 and "+  note: b" in different.stdout
        assert kubectl("diff", "-f", "-", stdin=manifest(note="a")).stdout == ""

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            ({"typo": 1}, 'unknown field "spec.typo"'),
            ({"size": "xxl"}, 'spec.size: Unsupported value: "xxl": supported values: "xs", "s", "m"'),
            ({"replicas": "3"}, "spec.replicas"),
        ],
    )
    def test_a_wrong_manifest_is_refused_with_its_path(self, kubectl: Kubectl, spec: Object, expected: str) -> None:
        refused = kubectl("apply", "-f", "-", stdin=manifest(**spec), check=False)
        assert refused.returncode == 1 and expected in refused.stderr

    def test_many_documents_in_one_file(self, kubectl: Kubectl, tmp_path: Path) -> None:
        file = tmp_path / "all.yaml"
        file.write_text(f"{CONFIG_MAP}---\n{manifest()}---\n{DEPLOYMENT}")
        assert kubectl("apply", "-f", str(file)).stdout.count("created") == 3
        assert kubectl("delete", "-f", str(file)).stdout.count("deleted") == 3


class TestGet:
    def test_tables(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=manifest())
        lines = kubectl("get", "widgets").stdout.splitlines()
        assert lines[0].split() == ["NAME", "SIZE", "PHASE", "AGE"]
        assert lines[1].split()[:2] == ["w", "s"]
        wide = kubectl("get", "wd", "-o", "wide").stdout.splitlines()
        assert wide[0].split() == ["NAME", "SIZE", "PHASE", "MODE", "AGE"]
        assert kubectl("get", "wd", "--no-headers", "-o", "name").stdout.strip() == "widget.conformance.xtrinode.io/w"
        everywhere = kubectl("get", "wd", "-A").stdout.splitlines()
        assert everywhere[0].split()[0] == "NAMESPACE"

    def test_built_in_columns(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        lines = kubectl("get", "deployments").stdout.splitlines()
        assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
        assert lines[1].split()[:2] == ["d", "0/0"]
        assert kubectl("get", "cm").stdout.splitlines()[0].split() == ["NAME", "DATA", "AGE"]

    def test_selection_and_output(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
        kubectl("label", "cm", "c", "tier=gold")
        names = kubectl("get", "cm", "-l", "tier=gold", "-o", "jsonpath={.items[*].metadata.name}").stdout
        assert names == "c"
        assert kubectl("get", "cm", "--field-selector", "metadata.name=c", "-o", "name").stdout.strip() == "configmap/c"
        assert yaml.safe_load(kubectl("get", "cm", "c", "-o", "yaml").stdout)["data"] == {"a": "1", "b": "2"}

    def test_what_is_not_there(self, kubectl: Kubectl) -> None:
        missing = kubectl("get", "cm", "none", check=False)
        assert missing.returncode == 1
        assert 'Error from server (NotFound): configmaps "none" not found' in missing.stderr
        unknown = kubectl("get", "gizmos", check=False)
        assert 'the server doesn\'t have a resource type "gizmos"' in unknown.stderr
        assert "No resources found" in kubectl("get", "secrets").stderr

    def test_watching(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=manifest())
        lines = kubectl("get", "wd", "--watch", "--request-timeout=1s", check=False).stdout.splitlines()
        assert lines[1].split()[:2] == ["w", "s"]

    def test_several_kinds_and_categories(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=manifest())
        kubectl("apply", "-f", "-", stdin=CONFIG_MAP)
        both = kubectl("get", "cm/c", "wd/w", "-o", "name").stdout.split()
        assert both == ["configmap/c", "widget.conformance.xtrinode.io/w"]
        assert "widget.conformance.xtrinode.io/w" in kubectl("get", "conformance", "-o", "name").stdout


class TestChange:
    def test_create_replace_edit_like_patches(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest())
        again = kubectl("create", "-f", "-", stdin=manifest(), check=False)
        assert "AlreadyExists" in again.stderr
        kubectl("patch", "wd", "w", "--type=merge", "-p", '{"spec":{"replicas":3}}')
        kubectl("patch", "wd", "w", "--type=json", "-p", '[{"op":"add","path":"/spec/note","value":"x"}]')
        kubectl("annotate", "wd", "w", "a=b")
        kubectl("label", "wd", "w", "c=d")
        stored = loaded(kubectl("get", "wd", "w", "-o", "json"))
        assert stored["spec"]["replicas"] == 3 and stored["spec"]["note"] == "x"
        assert stored["metadata"]["labels"] == {"c": "d"} and stored["metadata"]["annotations"]["a"] == "b"
        stored["spec"]["note"] = "y"
        kubectl("replace", "-f", "-", stdin=json.dumps(stored))
        stored["metadata"]["resourceVersion"] = "1"
        stale = kubectl("replace", "-f", "-", stdin=json.dumps(stored), check=False)
        assert "Conflict" in stale.stderr

    def test_the_status_by_its_subresource(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest())
        kubectl("patch", "wd", "w", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
        assert kubectl("get", "wd").stdout.splitlines()[1].split()[:3] == ["w", "s", "Ready"]

    def test_scale(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest(replicas=1))
        assert "scaled" in kubectl("scale", "wd/w", "--replicas=4").stdout
        assert kubectl("get", "wd", "w", "-o", "jsonpath={.spec.replicas}").stdout == "4"
        wrong = kubectl("scale", "wd/w", "--replicas=5", "--current-replicas=2", check=False)
        assert wrong.returncode == 1

    def test_an_edited_copy(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=CONFIG_MAP)
        kubectl("replace", "-f", "-", stdin=kubectl("get", "cm", "c", "-o", "yaml").stdout.replace('a: "1"', 'a: "9"'))
        assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}").stdout == "9"


class TestDelete:
    def test_it_waits_until_the_object_is_gone(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest())
        assert 'widget.conformance.xtrinode.io "w" deleted' in kubectl("delete", "wd", "w").stdout
        assert kubectl("get", "wd", "w", check=False).returncode == 1
        assert kubectl("delete", "wd", "w", "--ignore-not-found").returncode == 0

    def test_everything_of_a_kind(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest())
        kubectl("create", "-f", "-", stdin=manifest().replace("name: w", "name: v"))
        assert kubectl("delete", "wd", "--all").stdout.count("deleted") == 2

    def test_a_finalizer_keeps_it_waiting(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest().replace("name: w", "name: w\n  finalizers: [test.io/wait]"))
        kubectl("delete", "wd", "w", "--wait=false")
        assert kubectl("delete", "wd", "w", "--timeout=1s", check=False).returncode == 1
        kubectl("patch", "wd", "w", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kubectl("wait", "--for=delete", "wd/w", "--timeout=10s")


class TestCreateByTyping:
    """These bodies are protobuf."""

    def test_configuration(self, kubectl: Kubectl) -> None:
        kubectl("create", "configmap", "c", "--from-literal=a=1")
        kubectl("create", "secret", "generic", "s", "--from-literal=p=q")
        kubectl("create", "serviceaccount", "robot")
        assert loaded(kubectl("get", "cm", "c", "-o", "json"))["data"] == {"a": "1"}
        assert loaded(kubectl("get", "secret", "s", "-o", "json"))["data"] == {"p": "cQ=="}

    def test_workloads(self, kubectl: Kubectl) -> None:
        kubectl("create", "deployment", "d", "--image=nginx", "--replicas=0", "--port=80")
        kubectl("create", "service", "clusterip", "s", "--tcp=80:8080")
        kubectl("create", "poddisruptionbudget", "p", "--selector=app=d", "--min-available=50%")
        stored = loaded(kubectl("get", "deploy", "d", "-o", "json"))
        assert stored["spec"]["replicas"] == 0
        assert stored["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == 80
        assert loaded(kubectl("get", "svc", "s", "-o", "json"))["spec"]["ports"][0]["targetPort"] == 8080

    def test_access(self, kubectl: Kubectl) -> None:
        kubectl("create", "serviceaccount", "robot")
        kubectl("create", "role", "reader", "--verb=get,list", "--resource=widgets.conformance.xtrinode.io")
        namespace = loaded(kubectl("get", "role", "reader", "-o", "json"))["metadata"]["namespace"]
        kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:robot")
        who = f"--as=system:serviceaccount:{namespace}:robot"
        deadline = time.monotonic() + 10
        while kubectl("auth", "can-i", "list", "widgets", who, check=False).stdout.strip() != "yes":
            assert time.monotonic() < deadline
        assert kubectl("auth", "can-i", "delete", "widgets", who, check=False).stdout.strip() == "no"
        assert "widgets" in kubectl("auth", "can-i", "--list", who).stdout
        assert kubectl("create", "token", "robot", "--duration=10m").stdout.count(".") == 2

    def test_who_am_i(self, kubectl: Kubectl) -> None:
        info = loaded(kubectl("auth", "whoami", "-o", "json", "--as=alice", "--as-group=dev"))["status"]["userInfo"]
        assert info["username"] == "alice" and "dev" in info["groups"]


class TestDiscovery:
    def test_explain(self, kubectl: Kubectl) -> None:
        top = kubectl("explain", "widget.spec").stdout
        assert "KIND:       Widget" in top and "size\t<string> -required-" in top
        assert "ENUM:" in top or "enum" in top
        nested = kubectl("explain", "wd.spec.parts.count").stdout
        assert "FIELD: count <integer>" in nested
        assert "replicas" in kubectl("explain", "deployment.spec").stdout

    def test_resources_and_versions(self, kubectl: Kubectl) -> None:
        listed = kubectl("api-resources", "--api-group=conformance.xtrinode.io", "--no-headers").stdout
        assert listed.split()[:5] == ["widgets", "wd", "conformance.xtrinode.io/v1", "true", "Widget"]
        assert "conformance.xtrinode.io/v1" in kubectl("api-versions").stdout.split()
        assert loaded(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"].startswith("v1.")
        assert json.loads(kubectl("get", "--raw", "/version").stdout)["major"] == "1"

    def test_describe(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=manifest())
        described = kubectl("describe", "wd", "w").stdout
        assert "Name:         w" in described and "Size:" in described and "Events:" in described


def test_wait_for_a_condition_of_the_status(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=manifest())
    late = kubectl("wait", "--for=jsonpath={.status.phase}=Ready", "wd/w", "--timeout=1s", check=False)
    assert late.returncode == 1 and "timed out" in late.stderr
    kubectl("patch", "wd", "w", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Ready"}}')
    done = kubectl("wait", "--for=jsonpath={.status.phase}=Ready", "wd/w", "--timeout=10s")
    assert "condition met" in done.stdout
