"""The watch decoder: events come out whole however the bytes were cut, and what is no event is an error."""

import itertools

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.errors import ApiError, Gone, InternalError, Malformed
from crds.client.watch_stream import WatchDecoder, WatchEvent
from tests.support.fake_api import event_line, obj, status

STREAM = (
    event_line("ADDED", obj("a", "1", data={"k": "línea\nzwei"}))
    + b"\n"
    + event_line("BOOKMARK", {"metadata": {"resourceVersion": "2"}})
    + event_line("DELETED", obj("a", "3"))
)
EXPECTED = [("ADDED", "1"), ("BOOKMARK", "2"), ("DELETED", "3")]


def decode(*chunks: bytes) -> list[WatchEvent]:
    decoder = WatchDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def told(events: list[WatchEvent]) -> list[tuple[str, str]]:
    return [(event.type, event.resource_version) for event in events]


def test_every_cut_in_two_gives_the_same_events() -> None:
    for cut in range(len(STREAM) + 1):
        assert told(decode(STREAM[:cut], STREAM[cut:])) == EXPECTED


def test_byte_by_byte() -> None:
    assert told(decode(*(STREAM[i : i + 1] for i in range(len(STREAM))))) == EXPECTED


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_gives_the_same_events(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    assert decode(*(STREAM[a:b] for a, b in itertools.pairwise(bounds))) == decode(STREAM)


def test_an_unfinished_line_is_not_an_event() -> None:
    assert told(decode(STREAM + event_line("ADDED", obj("b", "4"))[:-1])) == EXPECTED


def test_an_error_event_is_raised_as_what_it_means() -> None:
    with pytest.raises(Gone) as gone:
        decode(event_line("ERROR", status(410, "Expired")))
    assert gone.value.in_stream
    with pytest.raises(InternalError):
        decode(event_line("ERROR", status(500, "InternalError")))


def test_events_before_an_error_are_delivered_first() -> None:
    events = WatchDecoder().feed(event_line("ADDED", obj("a", "1")) + event_line("ERROR", status(410, "Expired")))
    assert next(events).resource_version == "1"
    with pytest.raises(Gone):
        next(events)


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense\n",
        b"[]\n",
        b'{"type":"ADDED"}\n',
        b'{"type":"ADDED","object":[]}\n',
        b'{"type":"NEW","object":{"metadata":{"name":"a","resourceVersion":"1"}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}}\n',
        b'{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":7}}}\n',
        b'{"type":["ADDED"],"object":{"metadata":{"name":"a","resourceVersion":"7"}}}\n',
        b"\xff\n",
    ],
)
def test_what_is_no_event_is_malformed(line: bytes) -> None:
    with pytest.raises(Malformed) as error:
        decode(line)
    assert error.value.in_stream


def test_an_endless_line_is_given_up() -> None:
    decoder = WatchDecoder(max_line=1000)
    with pytest.raises(Malformed, match="longer than 1000 bytes"):
        for _ in range(20):
            list(decoder.feed(b"x" * 100))


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_are_events_or_errors_of_ours(chunks: list[bytes]) -> None:
    try:
        for event in decode(*chunks, b"\n"):
            assert event.resource_version
    except ApiError as error:
        assert error.in_stream


@given(
    st.dictionaries(
        st.sampled_from(["type", "object", "x"]),
        st.sampled_from(["ADDED", "ERROR", {}, [], None, {"metadata": {}}, {"metadata": None}, {"code": 410}]),
    )
)
def test_any_json_object_is_an_event_or_an_error_of_ours(body: dict[str, object]) -> None:
    with pytest.raises(ApiError):
        decode(orjson.dumps(body) + b"\n")
