"""Which events are written: repeats become a series, floods fold, talkers are paced, memory is bounded."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from crds.client.event_record import Correlator, Entry, Limits, Regarding, clip

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNTIME = Regarding("analytics.xtrinode.io/v1", "XTrinode", "ns", "sales", "uid-1")


def observe(correlator: Correlator, message: str, at: float = 0.0, about: Regarding = RUNTIME) -> Entry | None:
    wall = NOW + timedelta(seconds=at)
    return correlator.observe(about, "Warning", "Crashing", "", message, now=at, wall=wall)


def test_a_repeat_is_the_same_event_with_a_count() -> None:
    correlator = Correlator()
    first = observe(correlator, "m")
    again = observe(correlator, "m", at=5.0)
    assert first is again is not None
    assert again.count == 2
    written = again.to_object("xtrinode-controller", "host")
    assert written["series"] == {"count": 2, "lastObservedTime": "2026-01-02T03:04:10.000000Z"}
    assert written["eventTime"] == "2026-01-02T03:04:05.000000Z"


def test_the_object_is_what_the_server_demands() -> None:
    entry = observe(Correlator(), "m")
    assert entry is not None
    written = entry.to_object("xtrinode-controller", "h" * 200)
    assert written["metadata"] == {"name": entry.name, "namespace": "ns"}
    assert written["action"] == "Crashing"
    assert len(written["reportingInstance"]) == 128
    assert written["regarding"] == {
        "apiVersion": "analytics.xtrinode.io/v1",
        "kind": "XTrinode",
        "namespace": "ns",
        "name": "sales",
        "uid": "uid-1",
    }
    assert "series" not in written


def test_an_event_of_a_cluster_scoped_object_goes_to_default() -> None:
    entry = observe(Correlator(), "m", about=Regarding("v1", "Namespace", "", "ns", "u"))
    assert entry is not None
    assert entry.namespace == "default"


def test_many_texts_of_one_reason_fold_into_one_event() -> None:
    correlator = Correlator(Limits(similar=3, burst=100))
    entries = [observe(correlator, f"try {n}") for n in range(8)]
    assert len({id(entry) for entry in entries}) == 4
    folded = entries[-1]
    assert folded is not None
    assert folded.note.startswith("(combined from similar events): ")
    assert folded.count == 5


def test_folding_ends_with_its_window() -> None:
    correlator = Correlator(Limits(similar=1, similar_window=10.0, burst=100))
    observe(correlator, "a")
    folded = observe(correlator, "b")
    plain = observe(correlator, "b", at=11.0)
    assert folded is not None
    assert plain is not None
    assert plain.note == "b"


def test_a_talker_is_cut_off_and_comes_back() -> None:
    correlator = Correlator(Limits(burst=2, refill=300.0))
    assert observe(correlator, "m") is not None
    assert observe(correlator, "m") is not None
    assert observe(correlator, "m") is None
    other = Regarding("v1", "Pod", "ns", "p", "uid-2")
    assert observe(correlator, "m", about=other) is not None
    back = observe(correlator, "m", at=300.0)
    assert back is not None
    assert back.count == 4


def test_memory_is_bounded() -> None:
    correlator = Correlator(Limits(remembered=10))
    for n in range(50):
        observe(correlator, "m", about=Regarding("v1", "Pod", "ns", f"p{n}", f"u{n}"))
    assert len(correlator) == 10
    assert len(correlator._buckets) == len(correlator._similar) == 10


@given(st.text(st.characters(), max_size=2000))
def test_a_note_is_at_most_1024_bytes_of_json(message: str) -> None:
    note = clip(message)
    assert len(note.encode()) <= 1024
    assert orjson.loads(orjson.dumps(note)) == note


def test_clipping_counts_bytes_and_cuts_between_characters() -> None:
    assert clip("é" * 600) == "é" * 510 + "…"
    assert clip("x" * 1024) == "x" * 1024


keys = st.sampled_from(["metadata", "name", "kind"])
values = st.none() | st.text() | st.integers()


@given(st.dictionaries(keys, values | st.dictionaries(keys, values)))
def test_anything_can_be_regarded(obj: dict[str, Any]) -> None:
    regarding = Regarding.of(obj)
    assert all(isinstance(value, str) for value in regarding.to_dict().values())
