"""Where a Service address leads: ready endpoints, else those that leave but still serve; everything else nowhere."""

from __future__ import annotations

from typing import Any

from sandbox.kubelet.relay import Address, targets

Object = dict[str, Any]


def service(ip: str = "127.32.0.9", **port: Any) -> Object:
    return {
        "metadata": {"namespace": "n", "name": "web"},
        "spec": {"clusterIP": ip, "ports": [{"name": "http", "port": 80, **port}]},
    }


def slice_of(*endpoints: Object, port: str = "http", name: str = "web") -> Object:
    return {
        "metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": port, "port": 8080}],
        "endpoints": list(endpoints),
    }


def endpoint(ip: str, **conditions: bool) -> Object:
    return {"addresses": [ip], "conditions": conditions}


FRONT = Address("127.32.0.9", 80)


def test_ready_endpoints_of_all_slices_are_used() -> None:
    first = slice_of(endpoint("127.64.0.2", ready=True), endpoint("127.64.0.3", ready=False))
    second = slice_of(endpoint("127.64.0.1"))  # no condition means ready
    ends = (Address("127.64.0.1", 8080), Address("127.64.0.2", 8080))
    assert targets([service()], [first, second]) == {FRONT: ends}


def test_leaving_endpoints_serve_when_there_are_no_others() -> None:
    leaving = endpoint("127.64.0.1", ready=False, serving=True, terminating=True)
    assert targets([service()], [slice_of(leaving)]) == {FRONT: (Address("127.64.0.1", 8080),)}
    ready = endpoint("127.64.0.2", ready=True)
    assert targets([service()], [slice_of(leaving, ready)]) == {FRONT: (Address("127.64.0.2", 8080),)}


def test_services_without_a_local_address_or_endpoints_lead_nowhere() -> None:
    one = slice_of(endpoint("127.64.0.1", ready=True))
    assert targets([service("None"), service("10.0.0.1"), service("rubbish")], [one]) == {}
    assert targets([service()], [slice_of(endpoint("127.64.0.1", ready=False))]) == {}
    assert targets([service()], [slice_of(endpoint("127.64.0.1", ready=True), name="other")]) == {}
    assert targets([service()], [slice_of(endpoint("127.64.0.1", ready=True), port="metrics")]) == {}
    assert targets([service(protocol="UDP")], [one]) == {}
