"""Rows of `kubectl get` on both API servers: the same objects must be printed alike, cell by cell.

Plan: objects with the statuses that make their rows interesting, written through the status endpoint; ages are left
out.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.kube_http import KubeHttp

Both = tuple[KubeHttp, KubeHttp]

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
APPS, BATCH, NET = "/apis/apps/v1", "/apis/batch/v1", "/apis/networking.k8s.io/v1"
TEMPLATE = (
    "template: {metadata: {labels: {a: b}},"
    " spec: {restartPolicy: %s, containers: [{name: c, image: i}, {name: d, image: j}]}}"
)
ALWAYS, NEVER = TEMPLATE % "Always", TEMPLATE % "Never"
POD = "spec: {nodeName: nowhere, containers: [{name: c, image: i}, {name: d, image: j}]}"


def states(*containers: str) -> str:
    return f"status: {{phase: Running, podIP: 10.0.0.1, containerStatuses: [{', '.join(containers)}]}}"


def container(name: str, ready: bool, restarts: int, state: str) -> str:
    ready_text = str(ready).lower()
    return f"{{name: {name}, ready: {ready_text}, restartCount: {restarts}, image: i, imageID: '', state: {state}}}"


RUNNING = "{running: {startedAt: '2026-01-01T00:00:00Z'}}"
CRASHING = "{waiting: {reason: CrashLoopBackOff, message: m}}"
FAILED = "{terminated: {exitCode: 3, reason: Error}}"
BARE = "{terminated: {exitCode: 3}}"

# collection below the namespace (or above it for cluster-scoped kinds), manifest, status
CASES: list[tuple[str, str, str]] = [
    ("/api/v1|pods", POD, ""),
    ("/api/v1|pods", POD, states(container("c", True, 0, RUNNING), container("d", True, 0, RUNNING))),
    ("/api/v1|pods", POD, states(container("c", True, 0, RUNNING), container("d", False, 4, CRASHING))),
    ("/api/v1|pods", POD, states(container("c", False, 1, FAILED), container("d", True, 0, RUNNING))),
    ("/api/v1|pods", POD, states(container("c", False, 0, BARE), container("d", False, 0, BARE))),
    ("/api/v1|pods", POD, "status: {phase: Failed, reason: Evicted}"),
    ("/api/v1|pods", POD, "status: {phase: Succeeded}"),
    ("/api/v1|services", "spec: {ports: [{port: 80}], selector: {b: c, a: b}, clusterIP: None}", ""),
    ("/api/v1|services", "spec: {type: ExternalName, externalName: x.y}", ""),
    (
        "/api/v1|services",
        "spec: {clusterIP: None, ports: [{port: 80, name: a}, {port: 53, protocol: UDP, name: b}]}",
        "",
    ),
    ("/api/v1|secrets", "{type: my.io/x, data: {a: YQ==, b: YQ==}}", ""),
    ("/api/v1|configmaps", "{data: {a: b}, binaryData: {c: YQ==}}", ""),
    ("/api/v1|endpoints", "subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 10.0.0.2}], ports: [{port: 80}]}]", ""),
    (
        "/api/v1|events",
        "{involvedObject: {kind: Pod, name: p, fieldPath: spec.x, namespace: NAMESPACE}, reason: R,"
        " message: 'm ', type: Normal, count: 2,"
        " source: {component: k, host: h}}",
        "",
    ),
    (
        f"{APPS}|statefulsets",
        f"spec: {{replicas: 3, selector: {{matchLabels: {{a: b}}}}, {ALWAYS}}}",
        "status: {replicas: 3, readyReplicas: 2}",
    ),
    (f"{BATCH}|jobs", f"spec: {{{NEVER}}}", ""),
    (f"{BATCH}|jobs", f"spec: {{parallelism: 3, {NEVER}}}", ""),
    (f"{BATCH}|cronjobs", f"spec: {{schedule: '* * * * *', jobTemplate: {{spec: {{{NEVER}}}}}}}", ""),
    (
        f"{NET}|ingresses",
        "spec: {ingressClassName: c, tls: [{hosts: [h.x]}], rules: [{host: h.x}, {host: g.x}]}",
        "status: {loadBalancer: {ingress: [{ip: 10.0.0.1}, {hostname: lb.x}]}}",
    ),
    (f"{NET}|ingresses", "spec: {defaultBackend: {service: {name: s, port: {number: 80}}}}", ""),
    (f"{NET}|networkpolicies", "spec: {podSelector: {matchLabels: {a: b}}}", ""),
    ("/apis/policy/v1|poddisruptionbudgets", "spec: {minAvailable: 50%, selector: {matchLabels: {a: b}}}", ""),
    ("/apis/coordination.k8s.io/v1|leases", "spec: {holderIdentity: me}", ""),
    (
        "/apis/rbac.authorization.k8s.io/v1|rolebindings",
        "{roleRef: {kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io}, subjects:"
        " [{kind: User, name: u},"
        " {kind: Group, name: g}, {kind: ServiceAccount, name: s, namespace: n}, {kind: User, name: v}]}",
        "",
    ),
    (
        "/apis/discovery.k8s.io/v1|endpointslices",
        "{addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.3]},"
        " {addresses: [10.0.0.4]}], ports: [{port: 80, name: a}, {port: 81, name: b}]}",
        "",
    ),
    (
        "/apis/autoscaling/v2|horizontalpodautoscalers",
        "spec: {maxReplicas: 3, scaleTargetRef: {kind: X, name: x, apiVersion: a/v1}}",
        "",
    ),
]
AGES = ("Age", "Last Seen", "First Seen", "Created At")


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{n}-{CASES[n][0].rpartition('|')[2]}")
async def test_a_row_is_printed_alike(servers: Both, number: int) -> None:
    where, manifest, status = CASES[number]
    prefix, _, plural = where.partition("|")
    namespace = f"rows-{number}"
    rows = []
    for server in servers:
        assert (await server("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})).status == 201
        while (await server("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")).status == 404:
            pass
        base = f"{prefix}/namespaces/{namespace}/{plural}"
        made = await server(
            "POST", base, {**yaml.safe_load(manifest.replace("NAMESPACE", namespace)), "metadata": {"name": "it"}}
        )
        assert made.status == 201, made.body
        if status:
            patch = yaml.safe_load(status)
            done = await server("PATCH", f"{base}/it/status", patch, content_type="application/merge-patch+json")
            assert done.status == 200, done.body
        table = (await server("GET", f"{base}/it", headers=TABLE)).body
        names = [column["name"] for column in table["columnDefinitions"]]
        cells: dict[str, Any] = dict(zip(names, table["rows"][0]["cells"], strict=True))
        if "Selector" in cells:
            cells["Selector"] = re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}", "UID", cells["Selector"])
        rows.append({name: cell for name, cell in cells.items() if name not in AGES})
    ours, real = rows
    assert ours == real
