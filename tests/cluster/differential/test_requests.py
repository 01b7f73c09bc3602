"""Single requests to both API servers: the same status, reason and, where people read it, the same sentence.

Plan: what is not there; wrong methods, types, options, selectors, versions and bodies; replacing, deleting and their
preconditions; sub-resources. Each case prepares its own object and is compared by `told`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.differences import differences
from tests.support.kube_http import KubeHttp

Object = dict[str, Any]
Both = tuple[KubeHttp, KubeHttp]

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("real")]

NS = "/api/v1/namespaces/{ns}"
MAPS = f"{NS}/configmaps"
SETS = "/apis/apps/v1/namespaces/{ns}/statefulsets"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
NAMED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}}
LIMITS = {"cpu": 0.5, "memory": "1024Mi", "ephemeral-storage": 1000000, "example.io/n": "1e3"}
QUANTITIES = [{"name": "c", "resources": {"limits": LIMITS}}]
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"

SET: Object = {
    "metadata": {"name": "s"},
    "spec": {
        "serviceName": "s",
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}
LABELLED: Object = {"metadata": {"name": "it", "labels": {"a": "b"}}, "data": {"x": "1"}}

# method, path, body, content type
CASES: list[tuple[str, str, Any, str]] = [
    # what is not there
    ("GET", f"{MAPS}/nope", None, ""),
    ("GET", f"{NS}/nopes", None, ""),
    ("GET", "/apis/nope.io/v1/things", None, ""),
    ("GET", "/nope", None, ""),
    ("GET", f"{MAPS}/it/status", None, ""),
    ("GET", f"{MAPS}/it/scale", None, ""),
    ("DELETE", f"{MAPS}/nope", None, ""),
    ("PUT", f"{MAPS}/nope", {"metadata": {"name": "nope"}}, "application/json"),
    ("PATCH", f"{MAPS}/nope", {}, MERGE),
    ("POST", "/api/v1/namespaces/nowhere/configmaps", {"metadata": {"name": "x"}}, "application/json"),
    ("GET", "/api/v1/namespaces/nowhere/configmaps", None, ""),
    # wrong methods and bodies
    ("POST", f"{MAPS}/it", {"metadata": {"name": "it"}}, "application/json"),
    ("PUT", MAPS, {"metadata": {"name": "it"}}, "application/json"),
    ("PATCH", MAPS, {}, MERGE),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "other"}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "it", "namespace": "other"}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "it", "resourceVersion": "1"}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "it", "uid": "other"}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "it"}, "data": {"x": "2"}}, "application/json"),
    ("POST", MAPS, {"metadata": {"name": "it"}}, "application/json"),
    ("POST", MAPS, {"metadata": {"generateName": "UPPER-"}}, "application/json"),
    ("POST", MAPS, {"metadata": {}}, "application/json"),
    ("POST", MAPS, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}}, "application/json"),
    ("POST", MAPS, b"{", "application/json"),
    ("POST", MAPS, b"a: b: c", "application/yaml"),
    ("POST", MAPS, b"<x/>", "text/html"),
    ("PATCH", f"{MAPS}/it", {}, "text/html"),
    ("PATCH", f"{MAPS}/it", b"[]", MERGE),
    ("PATCH", f"{MAPS}/it", b"{}", "application/json-patch+json"),
    ("PATCH", f"{MAPS}/it", [{"op": "remove", "path": "/data/nope"}], "application/json-patch+json"),
    ("PATCH", f"{MAPS}/it", [{"op": "test", "path": "/data/x", "value": "9"}], "application/json-patch+json"),
    ("PATCH", f"{MAPS}/it", [{"op": "test", "path": "/data/nope", "value": None}], "application/json-patch+json"),
    ("PATCH", f"{MAPS}/it", [{"op": "test", "path": "/data/x", "value": None}], "application/json-patch+json"),
    ("PATCH", f"{MAPS}/it", {"metadata": {"name": "other"}}, MERGE),
    ("PATCH", f"{MAPS}/it", {"metadata": {"resourceVersion": "1"}}, MERGE),
    ("PATCH", f"{MAPS}/it", {"metadata": {"labels": {"a": "x y"}}}, MERGE),
    ("PATCH", f"{MAPS}/it", {"kind": "Secret"}, MERGE),
    # options
    ("POST", f"{MAPS}?dryRun=Some", {"metadata": {"name": "x"}}, "application/json"),
    ("POST", f"{MAPS}?fieldValidation=Maybe", {"metadata": {"name": "x"}}, "application/json"),
    ("POST", f"{MAPS}?fieldValidation=Strict", {"metadata": {"name": "x"}, "dta": {}}, "application/json"),
    (
        "POST",
        f"{MAPS}?fieldValidation=Strict",
        b'{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}',
        "application/json",
    ),
    ("PATCH", f"{MAPS}/it?force=true", {}, MERGE),
    ("PATCH", f"{MAPS}/it", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "it"}}, APPLY),
    ("GET", f"{MAPS}?labelSelector=a+in+(", None, ""),
    ("GET", f"{MAPS}?labelSelector=a%3Db%3Dc", None, ""),
    ("GET", f"{MAPS}?fieldSelector=data.x%3D1", None, ""),
    ("GET", f"{MAPS}?fieldSelector=nonsense", None, ""),
    ("GET", f"{MAPS}?resourceVersion=abc", None, ""),
    ("GET", f"{MAPS}?resourceVersion=1&resourceVersionMatch=Wrong", None, ""),
    ("GET", f"{MAPS}?resourceVersionMatch=Exact", None, ""),
    ("GET", f"{MAPS}?resourceVersion=0&resourceVersionMatch=Exact", None, ""),
    ("GET", f"{MAPS}?continue=nonsense", None, ""),
    ("GET", f"{MAPS}?watch=true&resourceVersionMatch=NotOlderThan", None, ""),
    ("GET", f"{MAPS}?watch=true&sendInitialEvents=true", None, ""),
    ("GET", f"{MAPS}?limit=-1&labelSelector=a", None, ""),
    ("GET", f"{MAPS}?limit=x", None, ""),
    # what a PUT may do
    ("PUT", f"{ROLES}/new", {"metadata": {"name": "new"}, "rules": []}, "application/json"),
    ("PUT", f"{ROLES}/new", {"metadata": {"name": "new", "uid": "other"}, "rules": []}, "application/json"),
    ("PUT", f"{LEASES}/new", {"metadata": {"name": "new"}, "spec": {"holderIdentity": "a"}}, "application/json"),
    ("PUT", f"{MAPS}/it", {"metadata": {"name": "it", "deletionGracePeriodSeconds": 5}}, "application/json"),
    ("PUT", f"{MAPS}/nope", {"metadata": {"name": "nope"}, "data": 0}, "application/json"),
    # configurations that do not fit
    ("PATCH", f"{MAPS}/it?fieldManager=m", {**NAMED, "bogus": 1}, APPLY),
    ("PATCH", f"{MAPS}/it?fieldManager=m", {**NAMED, "data": {"a": 1}}, APPLY),
    ("PATCH", f"{MAPS}/it?fieldManager=m", {**NAMED, "binaryData": {"a": "!"}}, APPLY),
    ("PATCH", f"{MAPS}/it", {"binaryData": {"x": "YQ=="}}, MERGE),
    # deleting
    ("DELETE", f"{MAPS}/it", {"preconditions": {"uid": "other"}}, "application/json"),
    ("DELETE", f"{MAPS}/it", {"preconditions": {"resourceVersion": "1"}}, "application/json"),
    ("DELETE", f"{MAPS}/it", {"propagationPolicy": "Never"}, "application/json"),
    ("DELETE", f"{MAPS}/it", {"propagationPolicy": "Background", "orphanDependents": False}, "application/json"),
    ("DELETE", f"{MAPS}/it", {"dryRun": ["Some"]}, "application/json"),
    ("DELETE", f"{NS}/serviceaccounts/default?dryRun=All", None, ""),
    ("DELETE", f"{MAPS}/it?dryRun=All", None, ""),
    ("DELETE", f"{MAPS}/it", None, ""),
    ("DELETE", f"{MAPS}?labelSelector=a%3Db", None, ""),
    ("DELETE", "/api/v1/namespaces", None, ""),
    ("DELETE", "/api/v1/namespaces/default", None, ""),
    # sub-resources
    ("GET", f"{SETS}/s/scale", None, ""),
    ("PATCH", f"{SETS}/s/scale", {"spec": {"replicas": 3}}, MERGE),
    ("PATCH", f"{SETS}/s/scale", {"spec": {"replicas": -1}}, MERGE),
    ("PATCH", f"{SETS}/s/scale", {"spec": {"replicas": "x"}}, MERGE),
    ("PATCH", f"{SETS}/s", {"spec": {"template": {"spec": {"containers": QUANTITIES}}}}, STRATEGIC),
    ("PATCH", f"{SETS}/s", {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}}, MERGE),
    ("PUT", f"{SETS}/s/scale", {"metadata": {"name": "s"}, "spec": {"replicas": 2}}, "application/json"),
    ("PATCH", f"{SETS}/s/status", {"status": {"replicas": 1}, "spec": {"replicas": 9}}, MERGE),
    ("PATCH", f"{SETS}/s", {"spec": {"selector": {"matchLabels": {"a": "c"}}}}, MERGE),
    ("PATCH", f"{SETS}/s", {"spec": {"replicas": "many"}}, MERGE),
    ("POST", f"{NS}/pods/nope/eviction", {"metadata": {"name": "nope"}}, "application/json"),
    ("POST", f"{NS}/serviceaccounts/nope/token", {"spec": {}}, "application/json"),
    ("POST", f"{NS}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 1}}, "application/json"),
    ("PUT", f"{NS}/finalize", {"metadata": {"name": "wrong"}}, "application/json"),
]


def told(reply: Any, namespace: str) -> Any:
    """Status, reason and causes of a refusal; what is left of an object without what must differ."""
    body = reply.body
    if not isinstance(body, dict):
        return reply.status
    if body.get("kind") == "Status" and reply.status >= 400:
        causes = (body.get("details") or {}).get("causes") or []
        sentence = body["message"] if reply.status in (404, 405, 409, 410) else ""
        sentence = re.sub(r"[0-9a-f]{8}-[-0-9a-f]{27}|\b[0-9]+\b", "N", sentence)
        if "UID in precondition" in sentence:
            sentence = ""  # on the real server in the words of its storage
        # Some of its causes come several times, once per layer that looked.
        fields = sorted({(c.get("field"), c.get("reason")) for c in causes})
        return [reply.status, body.get("reason"), fields, sentence.replace(namespace, "NS")]
    return [reply.status, _plain(body, namespace)]


def _plain(value: Any, namespace: str) -> Any:
    volatile = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "selfLink", "time")
    if isinstance(value, dict):
        items = value.get("items")
        if isinstance(items, list):
            # Items of a list say their kind here; in the real server's lists of built-in kinds they do not.
            bare = [{key: each[key] for key in each if key not in ("apiVersion", "kind")} for each in items]
            value = {**value, "items": bare}
        return {key: _plain(each, namespace) for key, each in value.items() if key not in volatile}
    if isinstance(value, list):
        return [_plain(each, namespace) for each in value]
    return "NS" if value == namespace else value


@pytest.mark.parametrize(
    "number", range(len(CASES)), ids=lambda n: f"{n}-{CASES[n][0]}-{CASES[n][1].rpartition('/')[2]}"[:60]
)
async def test_one_request_is_answered_alike(servers: Both, number: int) -> None:
    method, path, body, content_type = CASES[number]
    namespace = f"requests-{number}"
    replies = []
    for server in servers:
        assert (await server("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})).status == 201
        assert (await server("POST", MAPS.format(ns=namespace), LABELLED)).status == 201
        if "statefulsets" in path:
            assert (await server("POST", SETS.format(ns=namespace), SET)).status == 201
        while (await server("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")).status == 404:
            pass
        reply = await server(method, path.format(ns=namespace), body, content_type=content_type or "application/json")
        replies.append(told(reply, namespace))
    found = differences(*replies)
    assert not found, "\n".join(found)
