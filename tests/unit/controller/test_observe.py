"""Reading Kubernetes' objects: what is not there yet was not observed, and trouble is told in words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.actions import HELD_REPLICAS
from controller.caches import Parsed
from controller.kept import keep_child, keep_config_map, keep_pod, keep_slice, keep_source
from controller.observed import Endpoint, Role
from controller.packing import Packing
from controller.reading import merged, read_endpoints, read_pod, read_workload
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


@pytest.mark.parametrize("text", ["-1", "two", "\u00b2", "1" * 5000, ""])
def test_a_held_number_that_is_none_was_never_held(text):
    assert read_workload(deployment(annotations={HELD_REPLICAS: text}), Role.WORKER).held is None


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


@pytest.mark.parametrize(
    ("status", "came_up"),
    [
        ({"conditions": [{"type": "Ready", "status": "True"}]}, True),
        ({"containerStatuses": [{"name": "trino", "started": True, "state": {"running": {}}}]}, True),
        ({"containerStatuses": [{"name": "trino", "started": False, "state": {"running": {}}}]}, False),
        ({"containerStatuses": [{"name": "trino", "started": False, "state": {"waiting": {}}}]}, False),
        ({"containerStatuses": [{"name": "jmx", "started": True, "state": {"running": {}}}]}, False),
        ({}, False),
    ],
)
def test_whether_trino_has_come_up_is_more_than_whether_it_is_ready(status, came_up):
    assert read_pod(pod(status)).came_up is came_up


def test_a_pod_counts_as_used_from_when_it_was_ready_however_long_it_took():
    def since(ready):
        condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-01-31T12:07:00Z"}
        found = read_pod(pod({"startTime": "2026-01-31T12:00:00Z", "conditions": [condition]})).started
        return found and found.minute

    assert (since("True"), since("False")) == (7, 0)
    assert read_pod(pod({"conditions": [{"type": "Ready", "status": "True"}]})).started is None


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
    found = merged(map(read_endpoints, slices))
    assert [(e.address, e.ready) for e in found] == [("10.0.0.3", True), ("10.0.0.2", False)]


def test_of_a_secret_only_keys_and_a_digest_are_kept():
    secret = {
        "metadata": {"name": "s", "namespace": "n", "annotations": {"x": "hunter2"}},
        "data": {"password": "aHVudGVyMg=="},
    }
    kept = keep_source(secret)
    assert "hunter2" not in str(kept)
    assert "aHVudGVyMg" not in str(kept)
    assert kept.source is not None
    assert kept.source.keys == {"password"}
    changed = keep_source({**secret, "data": {"password": "b3RoZXI="}})
    assert changed.source != kept.source
    relabelled = keep_source({**secret, "metadata": {"name": "s", "namespace": "n", "labels": {"a": "b"}}})
    assert relabelled.source == kept.source


def runtime(version="1", size="xs", **status):
    metadata = {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": version, "generation": 1}
    return {"kind": "XTrinode", "metadata": metadata, "spec": {"size": size}, "status": status}


def test_an_object_is_parsed_once_per_version():
    parsed = Parsed(XTrinode, {"size": "xs"})
    kept = parsed.keep(runtime())
    assert parsed.of(kept) is parsed.of(kept)
    assert parsed.of(parsed.keep(runtime("2"))) is not parsed.of(kept)


def test_an_object_that_was_forgotten_is_read_again_from_what_is_kept():
    parsed = Parsed(XTrinode, {"size": "xs"})
    kept = parsed.keep(runtime(phase="Ready"))
    parsed.forget(kept.key)
    assert (parsed.of(kept).spec.size, parsed.of(kept).status.phase) == ("xs", "Ready")
    assert parsed.whole(kept) == runtime(phase="Ready")


def test_an_object_that_cannot_be_parsed_says_so_every_time():
    parsed = Parsed(XTrinode, {"size": "xs"})
    kept = parsed.keep(runtime(size="huge"))
    for _ in range(2):
        with pytest.raises(InvalidObject, match=r"spec\.size"):
            parsed.of(kept)


def test_a_status_that_cannot_be_read_was_never_written():
    parsed = Parsed(XTrinode, {"size": "xs"})
    of_tomorrow = parsed.keep(runtime(size="m", phase="Hibernating", workers=3))
    assert (parsed.of(of_tomorrow).spec.size, parsed.of(of_tomorrow).status.phase) == ("m", None)
    worse = parsed.keep(runtime(size="huge", phase="Hibernating"))
    assert parsed.without_spec(worse).metadata.name == "x"


def test_of_a_spec_that_cannot_be_read_the_rest_is_known():
    parsed = Parsed(XTrinode, {"size": "xs"})
    rest = parsed.without_spec(parsed.keep(runtime(size="huge", phase="Ready")))
    assert (rest.metadata.uid, rest.status.phase) == ("u", "Ready")


json = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
statuses = st.fixed_dictionaries({}, optional={"phase": json, "workers": json, "conditions": json}) | json


@given(st.fixed_dictionaries({}, optional={"spec": json, "status": statuses}))
def test_whatever_got_in_without_a_schema_is_kept_and_refused_when_it_is_read(parts):
    parsed = Parsed(XTrinode, {"size": "xs"})
    whole = {**runtime(), **parts}
    kept = parsed.keep(whole)
    assert parsed.whole(kept) == whole
    assert isinstance(kept.shown.workers, int)
    with contextlib.suppress(InvalidObject):
        assert parsed.of(kept).metadata.name == "x"


def test_a_wish_changes_with_the_spec_and_not_with_the_status():
    parsed = Parsed(XTrinode, {"size": "xs"})
    kept = parsed.keep(runtime())
    told = parsed.keep(runtime("2", phase="Ready", workers=2, conditions=[{"type": "Ready", "status": "True"}]))
    assert told.wish == kept.wish
    assert (told.shown.phase, told.shown.workers, told.shown.conditions) == ("Ready", 2, (("Ready", "True"),))
    newer = runtime("3")
    newer["metadata"]["generation"] = 2
    assert parsed.keep(newer).wish != kept.wish


def child(**changes):
    metadata = {"name": "trino-x-worker", "namespace": "n", "uid": "u1", "resourceVersion": "7"}
    owners = [{"apiVersion": "a/v1", "kind": "XTrinode", "name": "x", "uid": "u", "controller": True}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        **deployment(spec={"template": {"spec": {"x": [1]}}}, annotations={HELD_REPLICAS: "2"}),
        "metadata": {**metadata, "annotations": {HELD_REPLICAS: "2"}, "ownerReferences": owners},
    } | changes


def test_a_child_comes_back_whole_but_for_what_the_server_writes():
    packing = Packing()
    first, second = keep_child(child(), packing), keep_child(child(), packing)
    for kept in (first, second):  # without and with a dictionary
        whole = packing.unpack(kept.packed)
        metadata = {key: child()["metadata"][key] for key in ("name", "namespace", "annotations", "ownerReferences")}
        assert whole == {**{key: value for key, value in child().items() if key != "status"}, "metadata": metadata}


def test_what_is_read_of_a_child_needs_no_unpacking():
    kept = keep_child(child(), Packing())
    assert kept.is_owned_by("u")
    assert not kept.is_owned_by("v")
    assert kept.workload == read_workload(child(), Role.WORKER)
    assert (str(kept.ref), kept.ref.uid, kept.version) == ("Deployment n/trino-x-worker", "u1", "7")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"metadata": child()["metadata"] | {"resourceVersion": "8"}}, True),
        ({"status": {"conditions": [{"type": "Progressing", "status": "True", "lastUpdateTime": "now"}]}}, True),
        ({"status": {"readyReplicas": 1}}, False),
        ({"spec": {"replicas": 2, "template": {"spec": {"x": [2]}}}}, False),
        ({"metadata": child()["metadata"] | {"labels": {"added": "by hand"}}}, False),
        ({"metadata": child()["metadata"] | {"ownerReferences": []}}, False),
        ({"metadata": child()["metadata"] | {"deletionTimestamp": "2026-01-31T12:00:00Z"}}, False),
    ],
)
def test_children_differ_when_a_decision_could_depend_on_it(change, same):
    packing = Packing()
    keep_child(child(), packing)
    assert (keep_child(child(), packing) == keep_child(child(**change), packing)) is same


def test_foreign_config_maps_are_known_by_keys_and_our_own_and_the_routes_whole():
    def config_map(labels):
        metadata = {"name": "c", "namespace": "n", "uid": "u", "labels": labels}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "content"}}

    packing = Packing()
    foreign = keep_config_map(config_map({}), packing)
    assert foreign.source is not None
    assert not foreign.is_ours
    ours = keep_config_map(config_map({"app.kubernetes.io/managed-by": "xtrinode"}), packing)
    assert packing.unpack(ours.packed)["data"] == {"a": "content"}
    assert not ours.routes
    assert keep_config_map(config_map({"xtrinode.io/routes": "true"}), packing).routes


def endpoint_slice(service, instance=None):
    labels = {"kubernetes.io/service-name": service, "app.kubernetes.io/instance": instance}
    return {
        "metadata": {"name": "s", "namespace": "n", "labels": {k: v for k, v in labels.items() if v}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "nodeName": "n1"}],
    }


def test_a_slice_of_a_coordinator_is_its_addresses():
    for instance in ("x", None):
        kept = keep_slice(endpoint_slice("trino-x", instance))
        assert kept is not None
        assert (kept.service, kept.endpoints) == (("n", "trino-x"), (Endpoint("10.0.0.1", 8080, True),))


@pytest.mark.parametrize(
    ("service", "instance"),
    [("trino-x-worker", "x"), ("trino-x-metrics", "x"), ("trino-x-worker-metrics", "x"), ("other", None)],
)
def test_slices_of_which_no_address_is_read_are_not_kept(service, instance):
    assert keep_slice(endpoint_slice(service, instance)) is None


def test_a_runtime_may_be_named_like_another_one_s_workers():
    assert keep_slice(endpoint_slice("trino-x-worker", "x-worker")) is not None


def test_a_pod_is_its_facts_and_whose_it_is():
    whole = pod({"phase": "Running"}, namespace="n")
    whole["metadata"]["labels"] = {"app.kubernetes.io/instance": "x", "app.kubernetes.io/component": "worker"}
    kept = keep_pod(whole)
    assert (kept.runtime, kept.pod) == (("n", "x"), read_pod(whole))
    assert keep_pod(pod({})).runtime is None
