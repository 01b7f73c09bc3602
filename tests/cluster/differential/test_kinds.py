"""Built-in kinds on both API servers: what a manifest becomes, what a wrong one is told, how a kind is announced.

Plan: minimal and fuller manifests, created as dry runs so that no controller interferes, must come back the same; wrong
ones must be refused for the same fields; discovery and table columns of every kind that we serve must agree.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support.differences import differences
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]
Both = tuple[KubeHttp, KubeHttp]

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

TEMPLATE = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
SELECTOR = "selector: {matchLabels: {a: b}}"

# path: manifests
GOOD: dict[str, list[str]] = {
    "/api/v1/namespaces": ["{}"],
    "/api/v1/namespaces/default/configmaps": ["{}", "{data: {a: b}, binaryData: {c: YQ==}, immutable: true}"],
    "/api/v1/namespaces/default/secrets": ["{}", "{stringData: {a: b}, type: my.io/type}", "{data: {a: YQ==}}"],
    "/api/v1/namespaces/default/serviceaccounts": ["{}", "{imagePullSecrets: [{name: x}]}"],
    "/api/v1/namespaces/default/endpoints": ["{subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]}"],
    "/api/v1/namespaces/default/resourcequotas": ["{spec: {hard: {pods: '3'}}}"],
    "/api/v1/namespaces/default/limitranges": ["{spec: {limits: [{type: Container, default: {cpu: '1'}}]}}"],
    "/api/v1/namespaces/default/services": [
        "{spec: {clusterIP: None, selector: {a: b}}}",
        "{spec: {type: ExternalName, externalName: x.y}}",
        "{spec: {clusterIP: None, ports: [{port: 80, name: a}, {port: 81, targetPort: x, name: b}]}}",
    ],
    "/apis/apps/v1/namespaces/default/deployments": [
        f"{{spec: {{{SELECTOR}, {TEMPLATE}}}}}",
        f"{{spec: {{replicas: 0, strategy: {{type: Recreate}}, {SELECTOR}, {TEMPLATE}}}}}",
        f"{{spec: {{strategy: {{rollingUpdate: {{maxSurge: 1}}}}, paused: false, {SELECTOR}, {TEMPLATE}}}}}",
        """
        spec:
          selector: {matchLabels: {a: b}}
          template:
            metadata: {labels: {a: b}, annotations: {}}
            spec:
              serviceAccountName: x
              securityContext: {runAsUser: 1000, fsGroup: 0, runAsNonRoot: true}
              initContainers: [{name: i, image: 'r/x:latest', command: []}]
              containers:
              - name: c
                image: r/x:1
                env: [{name: A, value: ""}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
                envFrom: [{secretRef: {name: s}}, {configMapRef: {name: m, optional: true}, prefix: P_}]
                ports: [{containerPort: 80, name: http}, {containerPort: 80, protocol: UDP}]
                resources: {requests: {cpu: 100m}, limits: {memory: 1Gi}}
                readinessProbe: {httpGet: {path: /x, port: http, scheme: HTTPS}, periodSeconds: 5}
                livenessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 0}
                startupProbe: {exec: {command: [x]}, failureThreshold: 60}
                lifecycle: {preStop: {exec: {command: [sleep, '1']}}}
                securityContext: {capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
                volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /w, readOnly: true, subPath: s}]
              volumes:
              - {name: v, configMap: {name: m, items: [{key: a, path: b}]}}
              - {name: w, secret: {secretName: s, optional: true}}
              - {name: e, emptyDir: {sizeLimit: 1Gi, medium: Memory}}
              - {name: p, projected: {sources: [{serviceAccountToken: {path: t}}, {configMap: {name: m}}]}}
              - {name: d, downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.labels}}]}}
              - {name: n}
              tolerations: [{key: k, operator: Exists, effect: NoSchedule}]
              nodeSelector: {k: v}
              affinity:
                podAntiAffinity:
                  preferredDuringSchedulingIgnoredDuringExecution:
                  - weight: 1
                    podAffinityTerm: {topologyKey: t, labelSelector: {matchLabels: {a: b}}}
              topologySpreadConstraints: [{maxSkew: 1, topologyKey: t, whenUnsatisfiable: DoNotSchedule}]
              terminationGracePeriodSeconds: 0
              hostNetwork: false
              enableServiceLinks: false
              priorityClassName: ""
        """,
    ],
    "/apis/apps/v1/namespaces/default/replicasets": [f"{{spec: {{{SELECTOR}, {TEMPLATE}}}}}"],
    "/apis/apps/v1/namespaces/default/statefulsets": [f"{{spec: {{serviceName: s, {SELECTOR}, {TEMPLATE}}}}}"],
    "/apis/batch/v1/namespaces/default/cronjobs": [
        "{spec: {schedule: '* * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never,"
        " containers: [{name: c, image: i}]}}}}}}"
    ],
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers": [
        "{spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: x}, metrics: [{type:"
        " Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}}"
    ],
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets": [f"{{spec: {{minAvailable: 1, {SELECTOR}}}}}"],
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses": [
        "{spec: {rules: [{host: h.x, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s,"
        " port: {number: 80}}}}]}}]}}"
    ],
    "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies": [
        "{spec: {podSelector: {}}}",
        "{spec: {podSelector: {matchLabels: {a: b}}, egress: [{to: [{podSelector: {}}], ports: [{port: 80}]}]}}",
    ],
    "/apis/coordination.k8s.io/v1/namespaces/default/leases": [
        "{}",
        "{spec: {holderIdentity: a, leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000000Z'}}",
    ],
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles": [
        "{rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}"
    ],
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings": [
        "{roleRef: {kind: ClusterRole, name: view, apiGroup: rbac.authorization.k8s.io},"
        " subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: s, namespace: n}]}"
    ],
    "/apis/rbac.authorization.k8s.io/v1/clusterroles": ["{rules: [{nonResourceURLs: [/x], verbs: [get]}]}"],
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": [
        "{addressType: IPv4, endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}], ports: [{port: 80}]}"
    ],
    "/apis/scheduling.k8s.io/v1/priorityclasses": ["{value: 7}"],
    "/apis/storage.k8s.io/v1/storageclasses": ["{provisioner: x.y/z}"],
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": [
        "{webhooks: [{name: a.b.c, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {service: {name: s,"
        " namespace: n}}, rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}]}"
    ],
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": [
        "{webhooks: [{name: a.b.c, admissionReviewVersions: [v1], sideEffects: None,"
        " clientConfig: {url: 'https://x.y/z'}}]}"
    ],
    "/api/v1/namespaces/default/events": [
        "{involvedObject: {kind: Pod, name: p, namespace: default}, reason: R, message: m, type: Normal, count: 2}"
    ],
}

WRONG: dict[str, list[str]] = {
    "/api/v1/namespaces/default/configmaps": [
        "{data: {'a b': c}}",
        "{metadata: {name: UPPER}}",
        "{metadata: {labels: {a: 'x y'}}}",
        "{data: [1]}",
    ],
    "/api/v1/namespaces/default/secrets": ["{type: kubernetes.io/tls}", "{data: {a: '!'}}"],
    "/api/v1/namespaces/default/services": [
        "{}",
        "{spec: {ports: [{port: 0}]}}",
        "{spec: {ports: [{port: 1}, {port: 2}]}}",
    ],
    "/apis/apps/v1/namespaces/default/deployments": [
        f"{{spec: {{replicas: -1, {SELECTOR}, {TEMPLATE}}}}}",
        f"{{spec: {{selector: {{matchLabels: {{a: other}}}}, {TEMPLATE}}}}}",
        f"{{spec: {{strategy: {{type: Recreate, rollingUpdate: {{}}}}, {SELECTOR}, {TEMPLATE}}}}}",
        f"{{spec: {{{SELECTOR}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c}}]}}}}}}}}",
        f"{{spec: {{{SELECTOR}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: []}}}}}}}}",
        f"{{spec: {{{SELECTOR}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{restartPolicy: Never,"
        " containers: [{name: c, image: i}]}}}}",
        f"{{spec: {{{SELECTOR}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{"
        " containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}]}}}}",
        f"{{spec: {{replicas: many, {SELECTOR}, {TEMPLATE}}}}}",
    ],
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets": [
        f"{{spec: {{minAvailable: 1, maxUnavailable: 1, {SELECTOR}}}}}"
    ],
}

# Left out: DaemonSets and PersistentVolumeClaims, which the real server marks for controllers that the sandbox has not.

VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "selfLink")


def comparable(body: Any) -> Any:
    if not isinstance(body, dict) or "metadata" not in body:
        return body
    metadata = {key: value for key, value in body["metadata"].items() if key not in VOLATILE}
    for entry in metadata.get("managedFields", []):
        entry.pop("time", None)
    return {**body, "metadata": metadata}


def _without_dump(message: str) -> str:
    """The sentence of a cause without a Go struct that it quotes."""
    head, brace, tail = message.partition("{")
    return head + tail.rpartition("}")[2] if brace else message


def cases(table: dict[str, list[str]]) -> list[Any]:
    return [
        pytest.param(path, text, id=f"{path.rpartition('/')[2]}-{number}")
        for path, texts in table.items()
        for number, text in enumerate(texts)
    ]


def manifest(text: str) -> Object:
    document: Object = yaml.safe_load(text)
    document["metadata"] = {"name": "it", **(document.get("metadata") or {})}
    return document


@pytest.mark.parametrize(("path", "text"), cases(GOOD))
async def test_a_manifest_becomes_the_same(servers: Both, path: str, text: str) -> None:
    query = "?dryRun=All&fieldManager=m&fieldValidation=Strict"
    ours, real = [await server("POST", path + query, manifest(text)) for server in servers]
    assert real.status == 201, real.body
    found = differences(comparable(ours.body), comparable(real.body))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("path", "text"), cases(WRONG))
async def test_a_wrong_manifest_is_refused_for_the_same_fields(servers: Both, path: str, text: str) -> None:
    ours, real = [await server("POST", f"{path}?dryRun=All", manifest(text)) for server in servers]

    def told(reply: Any) -> Any:
        causes = (reply.body.get("details") or {}).get("causes") or []
        told = [(c.get("field"), c.get("reason"), _without_dump(c["message"])) for c in causes]
        return reply.status, reply.body["reason"], sorted(told)

    assert told(ours) == told(real)


async def test_every_kind_is_announced_as_on_the_real_server(servers: Both) -> None:
    ours, real = [await everything(server) for server in servers]
    found = []
    for key, resource in ours.items():
        if key not in real:
            found.append(f"{key}: the real server has no such resource")
            continue
        theirs = {name: real[key].get(name) for name in resource if name != "storageVersionHash"}
        mine = {name: value for name, value in resource.items() if name != "storageVersionHash"}
        for each in (mine, theirs):
            each["verbs"] = sorted(each["verbs"] or [])
        found += differences(mine, theirs, key)
    assert not found, "\n".join(found)


async def test_tables_have_the_same_columns(servers: Both) -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    found = []
    for key, resource in (await everything(servers[0])).items():
        if "list" not in resource["verbs"]:
            continue
        group_version, _, plural = key.rpartition("/")
        base = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
        tables = [(await server("GET", f"{base}/{plural}", headers=accept)).body for server in servers]
        ours, real = [[(c["name"], c["type"], c["priority"]) for c in t["columnDefinitions"]] for t in tables]
        if ours != real:
            found.append(f"{key}: ours {ours}, real {real}")
    assert not found, "\n".join(found)


async def everything(server: KubeHttp) -> dict[str, Object]:
    """Every announced resource by `group/version/name`."""
    groups = (await server("GET", "/apis")).body["groups"]
    versions = ["/api/v1"] + [f"/apis/{v['groupVersion']}" for group in groups for v in group["versions"]]
    found = {}
    for path in versions:
        listed = (await server("GET", path)).body
        for resource in listed["resources"]:
            found[f"{listed['groupVersion']}/{resource['name']}"] = resource
    return found
