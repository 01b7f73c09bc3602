"""Profilers' output as tables: by function per request, by shared object, by system call."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bench.gateway.profile_tables import by_function, kind, shares, system_calls

PERF = """
    62.61%|[kernel.kallsyms]
    30.75%|libpython3.11.so.1.0
     3.60%|loop.cpython-311-x86_64-linux-gnu.so
"""
SYMBOLS = (
    "    14.60%|libpython3.11.so.1.0                        |[.] _PyEval_EvalFrameDefault   -      -            \n"
)
STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.500000           5    200000           read
 30.00    0.200000           3    200100        12 write
  0.01    0.000001           1        10           futex
------ ----------- ----------- --------- --------- ----------------
100.00    0.700001           4    400110        12 total
"""


def test_functions_are_told_per_request_and_without_the_start() -> None:
    stats = {
        ("/src/gateway/proxy/client.py", 12, "forward"): (100, 100, 0.5, 0.9, {}),
        ("~", 0, "<method 'find' of 'bytes' objects>"): (400, 400, 0.5, 0.5, {}),
        ("/src/gateway/proxy/server.py", 3, "__init__"): (1, 1, 9.0, 9.0, {}),
        ("<frozen importlib._bootstrap>", 1, "load"): (500, 500, 9.0, 9.0, {}),
    }
    found = by_function(stats, 100, "/src")
    assert {one.name: (one.calls, one.share) for one in found} == {
        "gateway.proxy.client:12 forward": (1.0, 0.5),
        "method 'find' of 'bytes' objects": (4.0, 0.5),
    }


def test_shared_objects() -> None:
    found = shares(PERF)
    assert [(one.kind, round(one.share, 4)) for one in found] == [
        ("kernel", 0.6261),
        ("python", 0.3075),
        ("uvloop", 0.036),
    ]


def test_symbols_without_their_padding() -> None:
    (one,) = shares(SYMBOLS)
    assert one.name == "libpython3.11.so.1.0 _PyEval_EvalFrameDefault"


def test_whose_code_it_is() -> None:
    assert kind("99f36__mypyc.cpython-311-x86_64-linux-gnu.so") == "mypyc"
    assert kind("express.cpython-311-x86_64-linux-gnu.so") == "express"
    assert kind("libssl.so.3") == "other"


def test_system_calls_per_request() -> None:
    assert system_calls(STRACE, 100_000) == {"write": 2.001, "read": 2.0}


@given(st.text())
@example("  1.2.3%|libc.so.6")
def test_any_text_is_a_table_or_an_empty_one(text: str) -> None:
    assert all(one.share >= 0 for one in shares(text))
    assert all(each > 0 for each in system_calls(text, 10).values())
