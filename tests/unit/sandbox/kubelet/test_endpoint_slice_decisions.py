"""EndpointSlices: conditions of endpoints, named ports, headless and unready Services, least change."""

from __future__ import annotations

from typing import Any

from sandbox.kubelet.workloads.endpoint_slices import MANAGED_BY, MANAGED_BY_LABEL, desired, plan

Object = dict[str, Any]


def service(**spec: Any) -> Object:
    port = {"name": "http", "port": 80, "targetPort": "http"}
    return {
        "metadata": {"name": "web", "namespace": "n", "uid": "s1", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": [port], "clusterIP": "127.32.0.9", **spec},
    }


def pod(name: str, ip: str, *, ready: bool = True, port: int = 8080, **meta: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "n", "uid": name, "labels": {"app": "web"}, **meta},
        "spec": {"containers": [{"name": "c", "ports": [{"name": "http", "containerPort": port}]}]},
        "status": {
            "podIP": ip,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def conditions(item: Object) -> dict[str, tuple[bool, bool, bool]]:
    return {
        entry["targetRef"]["name"]: (
            entry["conditions"]["ready"],
            entry["conditions"]["serving"],
            entry["conditions"]["terminating"],
        )
        for entry in item["endpoints"]
    }


def test_ready_serving_and_terminating_are_told_apart() -> None:
    gone = "2026-01-01T00:00:00Z"
    pods = [
        pod("ready", "127.64.0.1"),
        pod("starting", "127.64.0.2", ready=False),
        pod("leaving", "127.64.0.3", deletionTimestamp=gone),
        pod("ended", "127.64.0.4", ready=False, deletionTimestamp=gone),
    ]
    (item,) = desired(service(), pods)
    assert conditions(item) == {
        "ready": (True, True, False),
        "starting": (False, False, False),
        "leaving": (False, True, True),
        "ended": (False, False, True),
    }


def test_publish_not_ready_addresses_makes_all_ready() -> None:
    (item,) = desired(service(publishNotReadyAddresses=True), [pod("a", "127.64.0.1", ready=False)])
    assert conditions(item) == {"a": (True, True, False)}


def test_pods_without_address_finished_or_unselected_are_left_out() -> None:
    waiting = pod("a", "")
    finished = pod("b", "127.64.0.2")
    finished["status"]["phase"] = "Succeeded"
    other = pod("c", "127.64.0.3", labels={"app": "other"})
    (item,) = desired(service(), [waiting, finished, other])
    assert item["endpoints"] == []


def test_named_ports_are_looked_up_in_each_pod() -> None:
    slices = desired(service(), [pod("a", "127.64.0.1", port=8080), pod("b", "127.64.0.2", port=9090)])
    assert sorted(item["ports"][0]["port"] for item in slices) == [8080, 9090]
    assert len({item["metadata"]["name"] for item in slices}) == 2


def test_a_number_as_text_and_an_absent_target_are_numbers() -> None:
    ports = [{"name": "a", "port": 80, "targetPort": "81"}, {"name": "b", "port": 82}]
    (item,) = desired(service(ports=ports), [pod("a", "127.64.0.1")])
    assert [port["port"] for port in item["ports"]] == [81, 82]


def test_headless_services_are_marked() -> None:
    (item,) = desired(service(clusterIP="None"), [])
    assert item["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert item["metadata"]["labels"]["team"] == "a"


def test_large_services_are_spread_over_slices() -> None:
    pods = [pod(f"p{number:03}", f"127.64.1.{number}") for number in range(1, 151)]
    assert [len(item["endpoints"]) for item in desired(service(), pods)] == [100, 50]


def test_nothing_is_written_when_nothing_changed() -> None:
    pods = [pod("a", "127.64.0.1")]
    first = plan(service(), pods, [])
    assert len(first.create) == 1
    again = plan(service(), pods, first.create)
    assert (again.create, again.update, again.delete) == ((), (), ())


def test_changes_update_in_place_and_surplus_slices_go() -> None:
    pods = [pod("a", "127.64.0.1"), pod("b", "127.64.0.2", port=9090)]
    first = plan(service(), pods, [])
    stored = [{**item, "metadata": {**item["metadata"], "resourceVersion": "7"}} for item in first.create]
    again = plan(service(), [pod("a", "127.64.0.1", ready=False)], stored)
    assert [item["metadata"]["resourceVersion"] for item in again.update] == ["7"]
    assert len(again.delete) == 1


def test_slices_of_other_hands_are_left_alone() -> None:
    labels = {"kubernetes.io/service-name": "web"}
    foreign = {"metadata": {"name": "mine", "labels": {**labels, MANAGED_BY_LABEL: "somebody"}}}
    assert plan(service(), [], [foreign]).delete == ()


def test_a_service_that_lost_its_selector_loses_its_slices() -> None:
    first = plan(service(), [], [])
    gone = plan(service(selector=None), [], first.create)
    assert len(gone.delete) == 1 and labels_of(gone.delete[0])[MANAGED_BY_LABEL] == MANAGED_BY


def labels_of(item: Object) -> dict[str, str]:
    return dict(item["metadata"]["labels"])
