"""Which addresses a Service's EndpointSlices mean, and which hosts are Services at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.addresses import Slice, ready_addresses, service_of, shaped


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("trino-a.team.svc.cluster.local", ("team", "trino-a")),
        ("TRINO-A.team.svc.cluster.local.", ("team", "trino-a")),
        ("trino-a.team.svc", ("team", "trino-a")),
        ("trino-a.team", None),
        ("trino.example.com", None),
        ("10.0.0.1", None),
    ],
)
def test_service_hosts_are_told_from_others(host: str, expected: tuple[str, str] | None) -> None:
    assert service_of(host, "cluster.local") == expected


METADATA = {"namespace": "team", "labels": {"kubernetes.io/service-name": "trino-a"}}


def slice_of(*endpoints: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> Slice:
    ports = [{"name": "http", "port": 8080}] if ports is None else ports
    found = shaped({"metadata": METADATA, "ports": ports, "endpoints": list(endpoints)})
    assert found is not None
    assert found.service == ("team", "trino-a")
    return found


def test_ready_endpoints_of_all_slices_are_taken_once() -> None:
    slices = [
        slice_of({"addresses": ["10.0.0.2"], "conditions": {"ready": True}}),
        slice_of({"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2"]}),
    ]
    assert ready_addresses(slices, 8080) == [("10.0.0.1", 8080), ("10.0.0.2", 8080)]


def test_endpoint_that_is_not_ready_is_left_out() -> None:
    assert ready_addresses([slice_of({"addresses": ["10.0.0.1"], "conditions": {"ready": False}})], 8080) == []


def test_of_several_ports_the_http_one_is_meant() -> None:
    ports = [{"name": "jmx", "port": 9080}, {"name": "http", "port": 8888}]
    assert ready_addresses([slice_of({"addresses": ["10.0.0.1"]}, ports=ports)], 80) == [("10.0.0.1", 8888)]


def test_no_matching_port_is_no_address() -> None:
    ports = [{"name": "a", "port": 1}, {"name": "b", "port": 2}]
    assert ready_addresses([slice_of({"addresses": ["10.0.0.1"]}, ports=ports)], 80) == []


@pytest.mark.parametrize("ports", [[], [{"name": "http"}], [{"port": None}]])
def test_slice_that_names_no_port_is_no_address(ports: list[dict[str, Any]]) -> None:
    assert ready_addresses([slice_of({"addresses": ["10.0.0.1"]}, ports=ports)], 8080) == []


@pytest.mark.parametrize("labels", [None, {}, {"app": "a"}])
def test_slice_without_a_service_is_not_kept(labels: dict[str, str] | None) -> None:
    assert shaped({"metadata": {"namespace": "team", "labels": labels}, "ports": None, "endpoints": None}) is None


MAYBE = st.none() | st.just([])
ENDPOINT = st.fixed_dictionaries(
    {},
    optional={
        "addresses": st.none() | st.lists(st.ip_addresses().map(str), max_size=2),
        "conditions": st.none() | st.dictionaries(st.just("ready"), st.none() | st.booleans()),
    },
)
PORT = st.fixed_dictionaries(
    {}, optional={"name": st.none() | st.sampled_from(["http", "jmx"]), "port": st.none() | st.integers(1, 65535)}
)


@given(MAYBE | st.lists(ENDPOINT, max_size=3), MAYBE | st.lists(PORT, max_size=3), st.integers(1, 65535))
def test_whatever_may_be_left_out_of_a_slice_is_no_fault(endpoints: Any, ports: Any, wanted: int) -> None:
    one = shaped({"metadata": METADATA, "endpoints": endpoints, "ports": ports})
    assert one is not None
    listed = {address for endpoint in endpoints or () for address in endpoint.get("addresses") or ()}
    numbers = {port["port"] for port in ports or () if port.get("port")}
    assert all(address in listed and port in numbers for address, port in ready_addresses([one], wanted))
