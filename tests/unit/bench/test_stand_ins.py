"""The benchmarks' far sides: coordinators that speak Trino's protocol, routes as the controller publishes them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.gateway.cluster import endpoint_slice, hostname, key, route, shards
from bench.gateway.coordinator import Coordinator, address, coordinator_id
from crds.trino import is_coordinator_id
from gateway.routing.document import compile_table, read_document

HEAD = b"%b %b HTTP/1.1\r\nHost: gateway:8080\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: sql.example.com\r\n"


def page(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert f"Content-Length: {len(body)}".encode() in head
    found: dict[str, Any] = json.loads(body)
    return found


def pages(coordinator: Coordinator, sql: bytes) -> list[dict[str, Any]]:
    found = [page(coordinator.answer(HEAD % (b"POST", b"/v1/statement"), sql))]
    while "nextUri" in found[-1]:
        path = urlsplit(found[-1]["nextUri"]).path.encode()
        found.append(page(coordinator.answer(HEAD % (b"GET", path), b"")))
    return found


def test_a_query_has_the_pages_it_asks_for() -> None:
    found = pages(Coordinator(7, 4, 600), b"SELECT 1 -- polls=3 bytes=5000")
    assert [one["stats"]["state"] for one in found] == ["QUEUED", "RUNNING", "RUNNING", "FINISHED"]
    assert len({one["id"] for one in found}) == 1
    assert len(json.dumps(found[1])) == pytest.approx(5000, rel=0.1)


def test_links_lead_where_the_client_came_from() -> None:
    (first, *_) = pages(Coordinator(0, 1, 0), b"SELECT 1")
    assert first["nextUri"].startswith("https://sql.example.com/v1/statement/queued/")


def test_another_coordinators_query_is_not_known() -> None:
    (first, *_) = pages(Coordinator(0, 1, 0), b"SELECT 1")
    path = urlsplit(first["nextUri"]).path.encode()
    assert Coordinator(1, 1, 0).answer(HEAD % (b"GET", path), b"").startswith(b"HTTP/1.1 404")


def test_cancelling() -> None:
    (first, *_) = pages(Coordinator(0, 5, 0), b"SELECT 1")
    path = urlsplit(first["nextUri"]).path.encode()
    answer = Coordinator(0, 5, 0).answer(HEAD % (b"DELETE", path), b"")
    assert answer.startswith(b"HTTP/1.1 204")
    assert b"Content-Length" not in answer


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_request_gets_an_answer(head: bytes, body: bytes) -> None:
    assert Coordinator(0, 1, 0).answer(head, body).startswith(b"HTTP/1.1 ")


def test_ids_and_addresses_are_different_and_valid() -> None:
    numbers = range(1500)
    assert all(is_coordinator_id(coordinator_id(number)) for number in numbers)
    assert len({coordinator_id(number) for number in numbers}) == len({address(number) for number in numbers}) == 1500


def test_routes_are_such_as_the_gateway_reads() -> None:
    texts = [shard["data"]["routes.yaml"] for shard in shards(1200, 8080, 1)]
    table, problems = compile_table(read_document(text) for text in texts)
    assert problems == []
    assert len(texts) == 2
    assert len(table.routes) == 1200
    assert table.by_selector[key(1100).encode()] is table.by_host[hostname(1100).encode()]
    assert table.default is table.by_selector[key(0).encode()]


def test_slices_lead_from_a_routes_service_to_its_coordinator() -> None:
    (backend,) = route(3, 8080)["backends"]
    slice_ = endpoint_slice(3, 9000)
    labels = slice_["metadata"]["labels"]
    service = f"{labels['kubernetes.io/service-name']}.{slice_['metadata']['namespace']}.svc.cluster.local"
    assert urlsplit(backend["coordinatorURL"]).hostname == service
    assert slice_["endpoints"][0]["addresses"] == [address(3)]
    assert [port["port"] for port in slice_["ports"]] == [9000]
