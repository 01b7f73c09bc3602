"""The node: does a pod fit, which address does it get, which names resolve, what the Node object says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.kubelet.addresses import AddressesExhausted, AddressPool, HostEntry, entries_of, hosts_file
from sandbox.kubelet.node import machine_memory, node_object, node_status
from sandbox.kubelet.objects import parse_time
from sandbox.kubelet.scheduling import Amounts, refusal, requests
from sandbox.kubelet.selectors import selects
from sandbox.kubelet.settings import Settings

Object = dict[str, Any]
SETTINGS = Settings(Path("/nowhere"), allocatable_cpu=4000, allocatable_memory=8 * 1024**3, allocatable_pods=3)


def node() -> Object:
    made = node_object(SETTINGS, 0)
    made["status"] = node_status(SETTINGS, 0, 10250, True, datetime(2026, 1, 1, tzinfo=UTC))
    return made


def pod(cpu: str = "0", memory: str = "0", **spec: Any) -> Object:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {"spec": {"containers": [container], **spec}, "status": {"phase": "Running"}}


def test_a_pod_that_fits_is_not_refused() -> None:
    assert refusal(pod("1", "1Gi"), node(), [pod("3", "7Gi")]) is None


@pytest.mark.parametrize(
    ("subject", "others", "reason"),
    [
        (pod("2"), [pod("3")], "1 Insufficient cpu"),
        (pod("0", "9Gi"), [], "1 Insufficient memory"),
        (pod(), [pod(), pod(), pod()], "1 Too many pods"),
        (pod(nodeSelector={"disk": "ssd"}), [], "1 node(s) didn't match Pod's node affinity/selector"),
    ],
)
def test_a_refusal_says_why(subject: Object, others: list[Object], reason: str) -> None:
    found = refusal(subject, node(), others)
    assert found is not None and found.startswith(f"0/1 nodes are available: {reason}. preemption: 0/1")


def test_finished_pods_free_their_place() -> None:
    done = pod("4")
    done["status"]["phase"] = "Succeeded"
    assert refusal(pod("4"), node(), [done]) is None


def test_required_node_affinity_is_honoured() -> None:
    def wants(operator: str, *values: str) -> Object:
        term = {"matchExpressions": [{"key": "kubernetes.io/os", "operator": operator, "values": list(values)}]}
        required = {"nodeSelectorTerms": [term]}
        return pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}})

    assert refusal(wants("In", "linux"), node(), []) is None
    assert refusal(wants("NotIn", "linux"), node(), []) is not None


def test_taints_need_tolerations() -> None:
    tainted = node()
    tainted["spec"] = {"taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]}
    assert "untolerated taint {gpu: yes}" in str(refusal(pod(), tainted, []))
    assert refusal(pod(tolerations=[{"key": "gpu", "operator": "Exists"}]), tainted, []) is None
    assert refusal(pod(tolerations=[{"key": "gpu", "value": "yes"}]), tainted, []) is None


def test_requests_count_init_containers_and_sidecars_as_kubernetes_does() -> None:
    def item(cpu: str, **more: Any) -> Object:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    init = [item("1", restartPolicy="Always"), item("5")]
    subject = {"spec": {"containers": [item("2"), item("1")], "initContainers": init, "overhead": {"cpu": "1"}}}
    assert requests(subject) == Amounts(7000, 0)
    assert requests({"spec": {"containers": [{"resources": {"limits": {"cpu": "2"}}}]}}) == Amounts(2000, 0)
    assert requests({"spec": {"containers": [item("rubbish")]}}) == Amounts()


def test_addresses_are_kept_by_their_owner_and_not_reused_at_once() -> None:
    pool = AddressPool("127.64.0.0/10")
    first = pool.claim("a")
    assert (first, pool.claim("a")) == ("127.64.0.1", "127.64.0.1")
    pool.release("a")
    assert pool.claim("b") == "127.64.0.2"
    assert pool.claim("c", wanted="127.64.7.7") == "127.64.7.7"
    assert pool.claim("d", wanted="127.64.7.7") != "127.64.7.7"
    assert pool.claim("e", wanted="10.0.0.1") == "127.64.0.4"


def test_two_sandboxes_begin_at_different_addresses() -> None:
    first, second = (AddressPool("127.64.0.0/10", seed).claim("a") for seed in ("/tmp/one", "/tmp/two"))
    assert first != second
    assert AddressPool("127.64.0.0/10", "/tmp/one").claim("b") == first


def test_a_full_network_says_so() -> None:
    pool = AddressPool("127.64.0.0/30")
    pool.claim("a")
    pool.claim("b")
    with pytest.raises(AddressesExhausted, match="delete some pods"):
        pool.claim("c")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=60))
def test_no_two_pods_share_an_address(steps: list[tuple[bool, int]]) -> None:
    pool = AddressPool("127.64.0.0/28")
    held: dict[int, str] = {}
    for claim, owner in steps:
        if claim:
            held[owner] = pool.claim(str(owner))
        else:
            pool.release(str(owner))
            held.pop(owner, None)
        assert len(set(held.values())) == len(held)


def test_short_names_hold_in_their_own_namespace_only() -> None:
    entries = [HostEntry("team-a", "web", ("127.32.0.1",)), HostEntry("team-b", "web", ("127.32.0.2",))]
    lines = hosts_file(entries, "team-b").splitlines()
    assert "127.32.0.1 web.team-a.svc.cluster.local web.team-a.svc web.team-a" in lines
    assert "127.32.0.2 web.team-b.svc.cluster.local web.team-b.svc web.team-b web" in lines


def test_headless_services_resolve_to_their_pods() -> None:
    services: list[Object] = [
        {"metadata": {"namespace": "n", "name": "a"}, "spec": {"clusterIP": "127.32.0.1"}},
        {"metadata": {"namespace": "n", "name": "b"}, "spec": {"clusterIP": "None"}},
        {"metadata": {"namespace": "n", "name": "c"}, "spec": {"clusterIP": "None"}},
        {"metadata": {"namespace": "n", "name": "d"}, "spec": {"type": "ExternalName"}},
    ]
    assert entries_of(services, {("n", "b"): ["127.64.0.2", "127.64.0.1"]}) == [
        HostEntry("n", "a", ("127.32.0.1",)),
        HostEntry("n", "b", ("127.64.0.1", "127.64.0.2")),
    ]


def test_the_node_tells_where_logs_are_and_what_may_be_requested() -> None:
    status = node()["status"]
    assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] == 10250
    assert status["allocatable"] == {"cpu": "4000m", "memory": str(8 * 1024**3), "pods": "3"}


@given(st.text(max_size=100))
def test_any_meminfo_is_read(text: str) -> None:
    assert machine_memory(text) >= 0


@given(st.one_of(st.text(max_size=30), st.none(), st.integers()))
def test_any_time_is_read_or_is_none(value: object) -> None:
    found = parse_time(value)
    assert found is None or found.tzinfo is not None


def test_meminfo_gives_bytes() -> None:
    assert machine_memory("MemFree: 1 kB\nMemTotal:       24684084 kB\n") == 24684084 * 1024


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ({"key": "a", "operator": "In", "values": ["1"]}, True),
        ({"key": "a", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "b", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "a", "operator": "Exists"}, True),
        ({"key": "a", "operator": "DoesNotExist"}, False),
        ({"key": "a", "operator": "Unknown"}, False),
    ],
)
def test_selector_expressions(expression: Object, wanted: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"a": "1"}) is wanted


def test_an_empty_selector_selects_all_and_an_absent_one_nothing() -> None:
    assert selects({}, {"a": "1"})
    assert not selects(None, {"a": "1"})
