"""What people type: the stock kubectl against the sandbox and the real API server, word for word alike.

Plan: create and apply (client and server side) and what they print; refusals with a field path; patch, label, scale,
edit, replace, diff; delete and wait; watch; describe, explain, events; tokens and permissions; raw paths.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clusters import Cluster

Kubectl = Callable[..., subprocess.CompletedProcess[str]]

MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {team: a}}
data: {colour: blue}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {nowhere: "true"}
      containers:
      - {name: main, image: "nginx:1", ports: [{containerPort: 80}]}
"""
CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.kubectl.xtrinode.io}
spec:
  group: kubectl.xtrinode.io
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, singular: gadget, listKind: GadgetList, shortNames: [gd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.workers, statusReplicasPath: .status.workers}
    additionalPrinterColumns:
    - {name: Size, type: string, jsonPath: .spec.size}
    - {name: Workers, type: integer, jsonPath: .spec.workers, priority: 1}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        description: A gadget is a thing.
        type: object
        properties:
          spec:
            description: What you want.
            type: object
            properties:
              size: {type: string, enum: [s, m, l], default: s, description: How big it is.}
              workers: {type: integer, minimum: 0}
          status:
            type: object
            properties: {workers: {type: integer}}
"""
GADGET = """
apiVersion: kubectl.xtrinode.io/v1
kind: Gadget
metadata: {name: g1}
spec: {workers: 3}
"""


@pytest.fixture
def gadgets(kubectl: Kubectl) -> Iterator[None]:
    kubectl("apply", "-f", "-", stdin=CRD)
    kubectl("wait", "--for=condition=Established", "crd/gadgets.kubectl.xtrinode.io", "--timeout=20s")
    yield
    kubectl("delete", "crd", "gadgets.kubectl.xtrinode.io", "--timeout=30s")


def command(cluster: Cluster, namespace: str, tmp_path: Path) -> list[str]:
    """kubectl for tests that need more of the process than its output."""
    return ["kubectl", "--kubeconfig", cluster.kubeconfig, f"--cache-dir={tmp_path / 'cache'}", "-n", namespace]


def columns(text: str) -> list[list[str]]:
    return [line.split() for line in text.strip().splitlines()]


class TestApply:
    def test_created_unchanged_configured(self, kubectl: Kubectl) -> None:
        assert kubectl("apply", "-f", "-", stdin=MAP).stdout == "configmap/settings created\n"
        assert kubectl("apply", "-f", "-", stdin=MAP).stdout == "configmap/settings unchanged\n"
        changed = MAP.replace("blue", "red")
        assert kubectl("apply", "-f", "-", stdin=changed).stdout == "configmap/settings configured\n"
        assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}").stdout == "red"

    def test_a_workload_is_patched_strategically(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        assert kubectl("apply", "-f", "-", stdin=DEPLOYMENT).stdout == "deployment.apps/web unchanged\n"
        kubectl("set", "env", "deployment/web", "A=1")
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT.replace("nginx:1", "nginx:2"))
        container = json.loads(kubectl("get", "deploy", "web", "-o", "json").stdout)["spec"]["template"]["spec"][
            "containers"
        ][0]
        assert container["image"] == "nginx:2" and container["env"] == [{"name": "A", "value": "1"}]

    def test_a_custom_resource_is_applied(self, kubectl: Kubectl, gadgets: None) -> None:
        assert kubectl("apply", "-f", "-", stdin=GADGET).stdout == "gadget.kubectl.xtrinode.io/g1 created\n"
        assert kubectl("apply", "-f", "-", stdin=GADGET).stdout == "gadget.kubectl.xtrinode.io/g1 unchanged\n"
        changed = GADGET.replace("3", "4")
        assert kubectl("apply", "-f", "-", stdin=changed).stdout == "gadget.kubectl.xtrinode.io/g1 configured\n"

    def test_a_dry_run_on_the_server_changes_nothing(self, kubectl: Kubectl) -> None:
        done = kubectl("apply", "--dry-run=server", "-f", "-", stdin=MAP)
        assert done.stdout == "configmap/settings created (server dry run)\n"
        assert "NotFound" in kubectl("get", "cm", "settings", check=False).stderr

    def test_server_side(self, kubectl: Kubectl) -> None:
        done = kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
        assert done.stdout == "deployment.apps/web serverside-applied\n"
        kubectl("scale", "deploy", "web", "--replicas=5")
        refused = kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT, check=False)
        assert refused.returncode == 1
        assert 'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale"' in refused.stderr
        assert ": .spec.replicas\n" in refused.stderr
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DEPLOYMENT)
        assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}").stdout == "2"

    def test_from_client_side_to_server_side_and_back(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        moved = kubectl("apply", "--server-side", "-f", "-", stdin=MAP.replace("blue", "red"))
        assert moved.stdout == "configmap/settings serverside-applied\n"
        found = json.loads(kubectl("get", "cm", "settings", "-o", "json", "--show-managed-fields").stdout)
        managers = {(e["manager"], e["operation"]) for e in found["metadata"]["managedFields"]}
        assert ("kubectl", "Apply") in managers and ("kubectl-client-side-apply", "Update") not in managers
        back = kubectl("apply", "-f", "-", stdin=MAP)
        assert back.stdout == "configmap/settings configured\n"
        assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}").stdout == "blue"

    def test_a_typing_error_is_refused_with_its_path(self, kubectl: Kubectl, gadgets: None) -> None:
        refused = kubectl("apply", "-f", "-", stdin=GADGET.replace("workers", "wrokers"), check=False)
        assert refused.returncode == 1
        assert 'strict decoding error: unknown field "spec.wrokers"' in refused.stderr

    def test_an_invalid_value_is_refused_with_its_path(self, kubectl: Kubectl, gadgets: None) -> None:
        refused = kubectl("apply", "-f", "-", stdin=GADGET.replace("{workers: 3}", "{size: xl}"), check=False)
        assert (
            'The Gadget "g1" is invalid: spec.size: Unsupported value: "xl": supported values: "s", "m", "l"'
            in refused.stderr
        )
        refused = kubectl("apply", "-f", "-", stdin=GADGET.replace("3", "many"), check=False)
        assert (
            'spec.workers: Invalid value: "string": spec.workers in body must be of type integer: "string"'
            in refused.stderr
        )


class TestCreate:
    def test_kinds_that_kubectl_sends_as_protobuf(self, kubectl: Kubectl) -> None:
        assert kubectl("create", "configmap", "c", "--from-literal=a=1").stdout == "configmap/c created\n"
        assert kubectl("create", "deployment", "d", "--image=nginx").stdout == "deployment.apps/d created\n"
        assert kubectl("create", "secret", "generic", "s", "--from-literal=p=x").stdout == "secret/s created\n"
        assert kubectl("create", "serviceaccount", "robot").stdout == "serviceaccount/robot created\n"
        assert kubectl("create", "role", "r", "--verb=get", "--resource=pods").stdout.startswith("role.rbac")
        assert kubectl("create", "rolebinding", "b", "--role=r", "--serviceaccount=x:robot").returncode == 0
        assert kubectl("expose", "deployment", "d", "--port=80").stdout == "service/d exposed\n"
        assert kubectl("get", "cm", "c", "-o", "jsonpath={.data.a}").stdout == "1"
        assert kubectl("get", "secret", "s", "-o", "jsonpath={.data.p}").stdout == "eA=="

    def test_a_kind_that_nobody_serves(self, kubectl: Kubectl) -> None:
        refused = kubectl("create", "-f", "-", stdin=MAP.replace("v1", "nope.io/v1"), check=False)
        assert 'no matches for kind "ConfigMap" in version "nope.io/v1"' in refused.stderr

    def test_twice_is_refused(self, kubectl: Kubectl) -> None:
        kubectl("create", "-f", "-", stdin=MAP)
        refused = kubectl("create", "-f", "-", stdin=MAP, check=False)
        assert 'configmaps "settings" already exists' in refused.stderr and "AlreadyExists" in refused.stderr

    def test_a_token_says_who_it_is(self, kubectl: Kubectl, namespace: str) -> None:
        kubectl("create", "serviceaccount", "robot")
        token = kubectl("create", "token", "robot").stdout.strip()
        assert token.count(".") == 2
        who = kubectl("auth", "whoami", f"--as=system:serviceaccount:{namespace}:robot", "-o", "json")
        assert json.loads(who.stdout)["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:robot"

    def test_permissions_can_be_asked(self, kubectl: Kubectl, namespace: str) -> None:
        robot = f"--as=system:serviceaccount:{namespace}:robot"
        assert kubectl("auth", "can-i", "create", "deployments").stdout == "yes\n"
        assert kubectl("auth", "can-i", "list", "pods", robot, check=False).stdout == "no\n"
        kubectl("create", "role", "r", "--verb=list", "--resource=pods")
        kubectl("create", "rolebinding", "b", "--role=r", f"--serviceaccount={namespace}:robot")
        assert kubectl("auth", "can-i", "list", "pods", robot).stdout == "yes\n"
        refused = kubectl("get", "secrets", robot, check=False)
        assert f'User "system:serviceaccount:{namespace}:robot" cannot list resource "secrets"' in refused.stderr


class TestGet:
    def test_tables_of_built_in_kinds(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT + "---" + MAP)
        head, row = columns(kubectl("get", "deploy", "-o", "wide").stdout)
        assert head == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]
        assert row[:2] == ["web", "0/2"] and row[5:] == ["main", "nginx:1", "app=web"]
        head, *rows = columns(kubectl("get", "cm", "-l", "team=a", "--show-labels").stdout)
        assert head == ["NAME", "DATA", "AGE", "LABELS"] and [each[0] for each in rows] == ["settings"]

    def test_tables_of_custom_resources(self, kubectl: Kubectl, gadgets: None) -> None:
        kubectl("apply", "-f", "-", stdin=GADGET)
        assert columns(kubectl("get", "gd").stdout)[0] == ["NAME", "SIZE", "AGE"]
        head, row = columns(kubectl("get", "gadgets", "-o", "wide").stdout)
        assert head == ["NAME", "SIZE", "WORKERS", "AGE"] and row[:3] == ["g1", "s", "3"]

    def test_nothing_and_unknown_kinds(self, kubectl: Kubectl, namespace: str) -> None:
        empty = kubectl("get", "deploy")
        assert (empty.stdout, empty.stderr) == ("", f"No resources found in {namespace} namespace.\n")
        unknown = kubectl("get", "doodads", check=False)
        assert unknown.stderr == 'error: the server doesn\'t have a resource type "doodads"\n'

    def test_output_forms(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        assert kubectl("get", "cm", "settings", "-o", "name").stdout == "configmap/settings\n"
        shown = kubectl("get", "cm", "settings", "-o", "custom-columns=N:.metadata.name,C:.data.colour").stdout
        assert columns(shown) == [["N", "C"], ["settings", "blue"]]
        assert "kind: ConfigMap" in kubectl("get", "cm", "settings", "-o", "yaml").stdout

    def test_a_watch_prints_changes(self, kubectl: Kubectl, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        watching = subprocess.Popen(
            [
                *command(cluster, namespace, tmp_path),
                *("get", "cm", "settings", "-w", "-o", "jsonpath={.data.colour}{'\\n'}"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert watching.stdout is not None
            assert watching.stdout.readline() == "blue\n"
            kubectl("patch", "cm", "settings", "-p", '{"data":{"colour":"red"}}')
            assert watching.stdout.readline() == "red\n"
        finally:
            watching.terminate()
            watching.communicate(timeout=10)

    def test_raw_paths(self, kubectl: Kubectl) -> None:
        assert kubectl("get", "--raw", "/readyz").stdout.strip() == "ok"
        assert json.loads(kubectl("get", "--raw", "/api/v1").stdout)["kind"] == "APIResourceList"


class TestChange:
    def test_patches_of_three_kinds(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        kubectl(
            "patch",
            "deploy",
            "web",
            "-p",
            '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"x"}]}}}}',
        )
        kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"paused":true}}')
        kubectl("patch", "deploy", "web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":4}]')
        spec = json.loads(kubectl("get", "deploy", "web", "-o", "json").stdout)["spec"]
        assert [each["name"] for each in spec["template"]["spec"]["containers"]] == ["side", "main"]
        assert spec["paused"] is True and spec["replicas"] == 4
        none = kubectl("patch", "deploy", "web", "--type=merge", "-p", '{"spec":{"paused":true}}')
        assert none.stdout == "deployment.apps/web patched (no change)\n"

    def test_labels_and_annotations(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        assert kubectl("label", "cm", "settings", "x=1").stdout == "configmap/settings labeled\n"
        assert "already has a value (1)" in kubectl("label", "cm", "settings", "x=2", check=False).stderr
        assert kubectl("label", "cm", "settings", "x-").stdout == "configmap/settings unlabeled\n"
        kubectl("annotate", "cm", "settings", "note=hello world")
        assert kubectl("get", "cm", "settings", "-o", "jsonpath={.metadata.annotations.note}").stdout == "hello world"

    def test_scale(self, kubectl: Kubectl, gadgets: None) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        kubectl("apply", "-f", "-", stdin=GADGET)
        assert kubectl("scale", "deploy/web", "--replicas=1").stdout == "deployment.apps/web scaled\n"
        assert kubectl("scale", "gadget/g1", "--replicas=7").stdout == "gadget.kubectl.xtrinode.io/g1 scaled\n"
        assert kubectl("get", "gadget", "g1", "-o", "jsonpath={.spec.workers}").stdout == "7"

    def test_replace_and_edit(self, kubectl: Kubectl, cluster: Cluster, namespace: str, tmp_path: Path) -> None:
        kubectl("create", "-f", "-", stdin=MAP)
        assert (
            kubectl("replace", "-f", "-", stdin=MAP.replace("blue", "green")).stdout == "configmap/settings replaced\n"
        )
        editor = tmp_path / "editor"
        editor.write_text('#!/bin/sh\nsed -i "s/green/violet/" "$1"\n')
        editor.chmod(0o755)
        done = subprocess.run(
            [*command(cluster, namespace, tmp_path), "edit", "cm", "settings"],
            env={**os.environ, "KUBE_EDITOR": str(editor)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.stdout == "configmap/settings edited\n", done.stderr
        assert kubectl("get", "cm", "settings", "-o", "jsonpath={.data.colour}").stdout == "violet"

    def test_a_diff_shows_what_an_apply_would_do(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        assert kubectl("diff", "-f", "-", stdin=MAP).stdout == ""
        shown = kubectl("diff", "-f", "-", stdin=MAP.replace("blue", "red"), check=False)
        assert shown.returncode == 1 and "-  colour: blue\n+  colour: red\n" in shown.stdout

    def test_rollout_restart(self, kubectl: Kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
        assert kubectl("rollout", "restart", "deploy/web").stdout == "deployment.apps/web restarted\n"
        template = json.loads(kubectl("get", "deploy", "web", "-o", "json").stdout)["spec"]["template"]
        assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


class TestDelete:
    def test_by_name_and_by_selector(self, kubectl: Kubectl, namespace: str) -> None:
        kubectl("apply", "-f", "-", stdin=MAP)
        assert kubectl("delete", "cm", "settings").stdout.startswith('configmap "settings" deleted')
        assert kubectl("delete", "cm", "settings", "--ignore-not-found").stdout == ""
        gone = kubectl("delete", "cm", "settings", check=False)
        assert gone.stderr == 'Error from server (NotFound): configmaps "settings" not found\n'
        kubectl("apply", "-f", "-", stdin=MAP)
        assert "settings" in kubectl("delete", "cm", "-l", "team=a").stdout

    def test_a_namespace_goes_with_what_is_in_it(self, kubectl: Kubectl, namespace: str) -> None:
        own = f"{namespace}-own"
        kubectl("create", "namespace", own)
        kubectl("create", "configmap", "c", "-n", own)
        assert kubectl("delete", "namespace", own, "--timeout=40s").stdout.startswith(f'namespace "{own}" deleted')
        assert "NotFound" in kubectl("get", "ns", own, check=False).stderr

    def test_wait_for_a_condition(self, kubectl: Kubectl, gadgets: None) -> None:
        kubectl("apply", "-f", "-", stdin=GADGET)
        assert kubectl("wait", "--for=jsonpath={.spec.size}=s", "gadget/g1", "--timeout=5s").stdout.endswith("met\n")
        late = kubectl("wait", "--for=jsonpath={.spec.size}=m", "gadget/g1", "--timeout=1s", check=False)
        assert late.returncode == 1 and "timed out waiting" in late.stderr


def published(kubectl: Kubectl, what: str, seconds: float = 30.0) -> str:
    """What `explain` says once the server has published the schema, which it does some time after the CRD is there."""
    deadline = time.monotonic() + seconds
    while (ran := kubectl("explain", what, check=False)).returncode:
        assert time.monotonic() < deadline, ran.stderr
        time.sleep(0.2)
    return ran.stdout


class TestExplain:
    def test_a_built_in_kind(self, kubectl: Kubectl) -> None:
        text = kubectl("explain", "deployment.spec.template.spec.containers").stdout
        assert "KIND:       Deployment" in text and "FIELD: containers <[]Container>" in text
        assert "name\t<string> -required-" in text

    def test_a_custom_resource(self, kubectl: Kubectl, gadgets: None) -> None:
        text = published(kubectl, "gadget.spec")
        assert "What you want." in text and "size\t<string>" in text and "How big it is." in text
        assert "enum: s, m, l" in text and "workers\t<integer>" in text
        wrong = kubectl("explain", "gadget.spec.nope", check=False)
        assert 'field "nope" does not exist' in wrong.stderr

    def test_describe_finds_the_events(self, kubectl: Kubectl, gadgets: None, namespace: str) -> None:
        kubectl("apply", "-f", "-", stdin=GADGET)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "e1"},
            "involvedObject": {
                "kind": "Gadget",
                "name": "g1",
                "namespace": namespace,
                "apiVersion": "kubectl.xtrinode.io/v1",
            },
            "reason": "Built",
            "message": "it was built",
            "type": "Normal",
            "source": {"component": "tests"},
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "count": 1,
        }
        uid = kubectl("get", "gadget", "g1", "-o", "jsonpath={.metadata.uid}").stdout
        event["involvedObject"]["uid"] = uid  # type: ignore[index]
        kubectl("create", "-f", "-", stdin=json.dumps(event))
        assert "it was built" in kubectl("describe", "gadget", "g1").stdout
        assert "it was built" in kubectl("events", "--for", "gadget/g1").stdout
        rows = columns(kubectl("get", "events").stdout)
        assert rows[0] == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
        assert rows[1][1:4] == ["Normal", "Built", "gadget/g1"]

    def test_resources_are_listed(self, kubectl: Kubectl, gadgets: None) -> None:
        rows = columns(kubectl("api-resources", "--api-group=kubectl.xtrinode.io").stdout)
        assert rows == [
            ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"],
            ["gadgets", "gd", "kubectl.xtrinode.io/v1", "true", "Gadget"],
        ]
        assert "apps/v1" in kubectl("api-versions").stdout
        assert "v1.3" in kubectl("version").stdout
