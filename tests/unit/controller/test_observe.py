"""Reading Kubernetes' objects: what is not there yet was not observed, and trouble is told in words."""

from __future__ import annotations

import pytest

from controller.actions import HELD_REPLICAS
from controller.caches import Parsed, pack, reduce_slice, reduce_source, unpack
from controller.observe import read_endpoints, read_pod, read_workload
from controller.observed import Role
from crds.v1.meta import InvalidObject
from crds.v1.xtrinode import XTrinode


def deployment(spec=None, status=None, annotations=None):
    return {
        "metadata": {"name": "d", "generation": 3, "annotations": annotations or {}},
        "spec": {"replicas": 2} | (spec or {}),
        "status": status or {},
    }


def test_a_new_deployment_has_nothing_ready_and_its_replicas_are_nobodys():
    live = read_workload(deployment(), Role.WORKER)
    assert (live.wanted, live.held, live.ready, live.serves(1)) == (2, None, 0, False)


def test_a_rolled_out_deployment_serves():
    status = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    live = read_workload(deployment(status=status, annotations={HELD_REPLICAS: "2"}), Role.WORKER)
    assert live.held == 2
    assert live.serves(2)
    assert not live.serves(3)


@pytest.mark.parametrize(
    "change",
    [
        {"observedGeneration": 2},
        {"updatedReplicas": 1},
        {"replicas": 3},
        {"availableReplicas": 1},
    ],
)
def test_a_rollout_that_is_not_over_does_not_serve(change):
    status = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
    assert not read_workload(deployment(status=status | change), Role.WORKER).serves(2)


def test_kubernetes_default_of_one_replica_is_known():
    assert read_workload(deployment(spec={"replicas": None}), Role.WORKER).wanted == 1


def test_why_pods_cannot_be_made_is_told():
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert read_workload(deployment(status={"conditions": [failure]}), Role.WORKER).blocked == "exceeded quota"


def pod(status, **metadata):
    return {"metadata": {"name": "p", "labels": {}, **metadata}, "status": status}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]}, "0/3 nodes"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
            "ImagePullBackOff: no such image",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
                    }
                ]
            },
            "CrashLoopBackOff; last exit: OOMKilled (137)",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        ({}, ""),
    ],
)
def test_why_a_pod_does_not_run_is_told(status, told):
    assert told in read_pod(pod(status)).trouble
    assert bool(read_pod(pod(status)).trouble) == bool(told)


def test_a_pod_that_goes_is_seen_as_going():
    assert read_pod(pod({}, deletionTimestamp="2026-01-31T12:00:00Z")).terminating


def test_endpoints_are_read_across_slices_ready_ones_first():
    slices = [
        {
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": ["10.0.0.2"], "conditions": {"ready": False}}],
        },
        {"ports": [{"name": "http", "port": 8080}], "endpoints": [{"addresses": ["10.0.0.3"], "conditions": {}}]},
        {"ports": [{"name": "other", "port": 1}], "endpoints": [{"addresses": ["10.0.0.4"]}]},
        {"ports": None, "endpoints": None},
    ]
    found = list(read_endpoints(slices))
    assert [(e.address, e.ready) for e in found] == [("10.0.0.3", True), ("10.0.0.2", False)]


def test_of_a_secret_only_keys_and_a_digest_are_kept():
    secret = {
        "metadata": {"name": "s", "namespace": "n", "annotations": {"x": "hunter2"}},
        "data": {"password": "aHVudGVyMg=="},
    }
    kept = reduce_source(secret)
    assert "hunter2" not in str(kept)
    assert "aHVudGVyMg" not in str(kept)
    assert kept["keys"] == ("password",)
    changed = reduce_source({**secret, "data": {"password": "b3RoZXI="}})
    assert changed["contentDigest"] != kept["contentDigest"]
    relabelled = reduce_source({**secret, "metadata": {"name": "s", "namespace": "n", "labels": {"a": "b"}}})
    assert relabelled["contentDigest"] == kept["contentDigest"]


def test_an_object_is_parsed_once_per_version():
    parsed = Parsed(XTrinode)
    obj = {"metadata": {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": "1"}, "spec": {"size": "xs"}}
    assert parsed.of(obj) is parsed.of(dict(obj))
    newer = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "2"}}
    assert parsed.of(newer) is not parsed.of(obj)


def test_an_object_that_cannot_be_parsed_says_so_every_time():
    parsed = Parsed(XTrinode)
    obj = {"metadata": {"name": "x", "resourceVersion": "1"}, "spec": {"size": "huge"}}
    for _ in range(2):
        with pytest.raises(InvalidObject, match=r"spec\.size"):
            parsed.of(obj)


def test_a_packed_child_comes_back_as_it_was_and_is_read_without_unpacking():
    spec = {"template": {"metadata": {"annotations": {"trino.io/rollout-hash-worker": "abc"}}, "spec": {"x": [1]}}}
    whole = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment(spec=spec, annotations={HELD_REPLICAS: "2"})}
    whole["metadata"]["resourceVersion"] = "7"
    packed = pack(whole)
    assert unpack(packed) == {key: value for key, value in whole.items() if key != "status"}
    assert read_workload(packed, Role.WORKER) == read_workload(whole, Role.WORKER)
    assert "x" not in str(packed["spec"])


def test_two_versions_of_one_content_pack_to_equal_bytes():
    one, two = deployment(), deployment(status={"replicas": 1})
    one["metadata"]["resourceVersion"], two["metadata"]["resourceVersion"] = "1", "2"
    assert pack(one)["packedSpec"] == pack(two)["packedSpec"]


def test_a_slice_keeps_what_an_address_is_read_from():
    whole = {
        "metadata": {"name": "s", "namespace": "n", "labels": {"kubernetes.io/service-name": "trino-x", "a": "b"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "nodeName": "n1"}],
    }
    assert read_endpoints([reduce_slice(whole)]) == read_endpoints([whole])
    assert "n1" not in str(reduce_slice(whole))
