"""Memory is divided so that Trino starts and the kernel leaves it alone, for every size there can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.fields import ResourceRequirements
from crds.v1.memory import divide, heap_option, resolve_resources
from crds.v1.quantity import GIB, MIB, parse_trino_data_size, trino_data_size


@given(st.integers(256 * MIB, 2**50))
def test_the_parts_always_fit(container):
    parts = divide(container)
    assert parts.query_per_node + parts.headroom <= parts.heap <= container * 3 // 4
    written = [parse_trino_data_size(trino_data_size(part)) for part in (parts.query_per_node, parts.headroom)]
    assert sum(written) <= parts.heap


@given(st.integers(256 * MIB, 2**44), st.integers(1, 2**44))
def test_a_given_part_pushes_the_others_aside_if_it_can(container, query):
    heap = divide(container).heap
    parts = divide(container, query=query)
    if query <= heap:
        assert parts.query_per_node + parts.headroom <= heap


def test_an_eight_gibibyte_container():
    parts = divide(8 * GIB)
    assert (parts.heap // MIB, parts.headroom // MIB, parts.query_per_node // MIB) == (6144, 1843, 3686)


@pytest.mark.parametrize(
    ("requests", "limits", "cpu", "memory"),
    [
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "2Gi"}, 1000, 2 * GIB),
        ({"cpu": 1, "memory": "1G"}, {}, 1000, 10**9),
        ({}, {"cpu": "500m", "memory": 2 * GIB}, 500, 2 * GIB),
        ({}, {}, 0, 0),
    ],
)
def test_the_limit_counts_for_memory_and_the_request_for_cpu(requests, limits, cpu, memory):
    resolved = resolve_resources(ResourceRequirements(requests=requests, limits=limits))
    assert (resolved.cpu_millis, resolved.memory_bytes) == (cpu, memory)


@pytest.mark.parametrize(
    ("options", "heap"),
    [
        ([], None),
        (["-Xmx4G"], 4 * GIB),
        (["-Xmx1g", "-Xmx512m"], 512 * MIB),
        (["-Xmx1024"], 1024),
        (["-Xmxlots"], None),
    ],
)
def test_the_last_heap_option_counts(options, heap):
    assert heap_option(options) == heap
