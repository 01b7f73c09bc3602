"""A request's query id is found wherever Trino puts it, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds import trino
from crds.trino import QueryId, coordinator_suffix, query_error, query_id_in_path

ID = "20260131_120000_00042_abc2e"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/statement/queued/{ID}/yslug/1",
        f"/v1/statement/executing/{ID}/yslug/7?maxWait=1s",
        f"/v1/statement/executing/partialCancel/{ID}/2/yslug/7",
        f"/v1/query/{ID}",
        f"/v1/query/{ID}?pretty",
        f"/ui/query.html?{ID}",
        f"/ui/stage.html?{ID}.3",
        f"/ui/api/query/{ID}/killed",
        f"/anything?x=1&queryId={ID}&y=2",
        f"/anything?query_id={ID}",
    ],
)
def test_an_id_is_found(path):
    assert query_id_in_path(path.encode()) == ID.encode()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/statement",
        "/v1/query",
        "/v1/info",
        f"/v1/query/{ID}x",
        f"/v1/query/{ID[:-1]}",
        f"/v1/query/{ID.upper()}",
        f"/v2/query/{ID}",
        f"/x/v1/query/{ID}",
        f"/anything?myqueryIdx={ID}",
        f"/ui/query.html?{ID}x",
    ],
)
def test_what_is_no_id_is_none(path):
    assert query_id_in_path(path.encode()) is None


def test_an_id_names_its_coordinator():
    parsed = QueryId.parse(ID)
    assert parsed is not None
    assert parsed.suffix == "abc2e"
    assert str(parsed) == ID
    assert coordinator_suffix(ID.encode()) == b"abc2e"
    assert QueryId.parse(ID + "\n") is None


@pytest.mark.parametrize(
    ("text", "fits"), [("abc2e", True), ("abcd", False), ("ABC2E", False), ("abc-e", False), ("abcdé", False)]
)
def test_a_coordinator_id_has_five_letters(text, fits):
    assert trino.is_coordinator_id(text) is fits


def test_an_error_has_what_clients_read():
    error = query_error(trino.QUERY_QUEUE_FULL, "too many")
    assert (error["errorCode"], error["errorName"], error["errorType"]) == (
        131074,
        "QUERY_QUEUE_FULL",
        "INSUFFICIENT_RESOURCES",
    )
    assert error["message"] == "too many"


@given(st.binary(max_size=200))
def test_no_path_makes_the_search_fail(path):
    found = query_id_in_path(path)
    assert found is None or found in path
