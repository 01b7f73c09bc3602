"""Errors: the class follows from status and reason, and no body, however odd, breaks the reading of an error."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.client.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    InternalError,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    error_from_response,
    error_from_status,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
status_like = st.fixed_dictionaries(
    {"kind": st.just("Status")},
    optional=dict.fromkeys(("code", "reason", "message", "details", "status", "metadata"), json_values),
)


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", InternalError),
        (500, "ServerTimeout", Unavailable),
        (502, "", Unavailable),
        (504, "Timeout", Unavailable),
        (507, "", InternalError),
        (418, "", ApiError),
    ],
)
def test_status_and_reason_choose_the_class(status: int, reason: str, expected: type[ApiError]) -> None:
    body = orjson.dumps({"kind": "Status", "reason": reason, "message": "m", "code": status})
    error = error_from_response(status, body)
    assert type(error) is expected
    assert error.status == status


def test_message_and_target_are_told() -> None:
    error = error_from_response(
        404, b'{"kind":"Status","message":"pods \\"a\\" not found","reason":"NotFound"}', target="get pods ns/a"
    )
    assert str(error) == 'get pods ns/a: pods "a" not found (404 NotFound)'


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b'{"error":"no"}', b"[]", b"null", b"\xff\xfe"])
def test_a_body_that_is_no_status_still_gives_the_class(body: bytes) -> None:
    error = error_from_response(503, body)
    assert type(error) is Unavailable
    assert "no Kubernetes Status" in error.message


def test_the_http_status_overrules_a_lying_code() -> None:
    assert type(error_from_response(404, b'{"kind":"Status","code":200}')) is NotFound


def test_a_stream_error_takes_its_code_and_without_one_counts_as_internal() -> None:
    assert type(error_from_status({"kind": "Status", "code": 410, "reason": "Expired"})) is Gone
    assert type(error_from_status({"kind": "Status"})) is InternalError
    assert type(error_from_status({"kind": "Status", "code": True})) is InternalError


def test_causes_name_the_fields() -> None:
    causes = [{"field": "spec.size", "message": "no"}, "odd"]
    error = error_from_status({"code": 422, "reason": "Invalid", "details": {"causes": causes}})
    assert error.causes == [{"field": "spec.size", "message": "no"}]


def test_retry_after_comes_from_the_details_too() -> None:
    error = error_from_status({"code": 429, "details": {"retryAfterSeconds": 3}})
    assert error.retry_after == 3.0


@given(st.integers(300, 599), st.binary(max_size=200) | json_values.map(orjson.dumps) | status_like.map(orjson.dumps))
def test_any_body_becomes_an_error_of_that_status(status: int, body: bytes) -> None:
    error = error_from_response(status, body, target="get x")
    assert error.status == status
    assert len(str(error)) < 3000
    assert isinstance(error.causes, list)
    assert error.retry_after is None or 0 < error.retry_after <= 86400


@given(st.dictionaries(st.text(), json_values) | status_like)
def test_any_stream_error_has_a_status(body: dict[str, Any]) -> None:
    assert 100 <= error_from_status(body).status <= 599
