"""wrk's report read back: figures in one unit, errors added up, and anything else is no report."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.gateway.wrk import Report, read_report

REPORT = """Running 2s test @ http://127.0.0.1:1
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   646.47us  287.05us  12.22ms   93.14%
    Req/Sec    49.57k     2.32k   53.29k    85.00%
  Latency Distribution
     50%  612.00us
     75%  700.00us
     90%    0.85ms
     99%    1.25ms
  98653 requests in 2.00s, 78.66MB read
Requests/sec:  49305.26
"""


def test_figures() -> None:
    assert read_report(REPORT) == Report(98653, 0, 612.0, 1250.0)


def test_errors_of_both_kinds_are_counted() -> None:
    more = "  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 10\n"
    report = read_report(REPORT + more)
    assert report is not None
    assert report.errors == 20


@pytest.mark.parametrize("text", ["", "unable to connect", REPORT.replace("98653 req", "0 req"), REPORT[:200]])
def test_what_tells_nothing_is_no_report(text: str) -> None:
    assert read_report(text) is None


@given(st.text())
@example("  50%  nan\n  99% nan\n 5 requests in 1s")
@example("  50%  1.2.3us\n  99%  1us\n  5 requests in 1s")
def test_any_text_is_read_or_not(text: str) -> None:
    report = read_report(text)
    assert report is None or report.requests > 0
