"""AdmissionReview in and out: whatever the bytes, a request or a clear refusal; answers in the API server's form."""

from __future__ import annotations

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crds.v1.meta import FieldError
from webhook.review import Decision, NotAReview, parse_review, respond

REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u-1",
        "operation": "CREATE",
        "kind": {"group": "analytics.xtrinode.io", "version": "v1", "kind": "XTrinode"},
        "resource": {"group": "analytics.xtrinode.io", "version": "v1", "resource": "xtrinodes"},
        "namespace": "team",
        "name": "a",
        "userInfo": {"username": "alice", "groups": ["dev"], "extra": {"scopes": ["x"]}},
        "object": {"spec": {}},
    },
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def response_of(decision: Decision) -> dict:
    answer = orjson.loads(respond(parse_review(orjson.dumps(REVIEW)), decision))
    assert answer["kind"] == "AdmissionReview"
    assert answer["response"]["uid"] == "u-1"
    return answer["response"]


def test_user_and_object_are_read() -> None:
    request = parse_review(orjson.dumps(REVIEW))
    assert (request.user.username, request.user.groups) == ("alice", ("dev",))
    assert request.user.extra == {"scopes": ("x",)}
    assert request.old_object is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"request": 1}', b'{"request": {"uid": "x"}}'])
def test_what_is_no_review_is_refused(body: bytes) -> None:
    with pytest.raises(NotAReview):
        parse_review(body)


@given(st.binary() | json_values.map(orjson.dumps))
def test_any_bytes_are_a_review_or_refused(body: bytes) -> None:
    try:
        parse_review(body)
    except NotAReview as error:
        assert str(error)


@given(st.dictionaries(st.sampled_from(sorted(REVIEW["request"])), json_values))
def test_any_request_is_read_or_refused(fields: dict) -> None:
    try:
        request = parse_review(orjson.dumps({"request": {**REVIEW["request"], **fields}}))
    except NotAReview:
        return
    assert isinstance(request.user.groups, tuple)


def test_allowed_answer_carries_warnings_and_a_patch() -> None:
    operation = {"op": "add", "path": "/spec/size", "value": "m"}
    response = response_of(Decision(warnings=("restarts pods", "w" * 500), patch=(operation,)))
    assert response["allowed"] is True
    assert orjson.loads(base64.b64decode(response["patch"])) == [operation]
    assert max(map(len, response["warnings"])) <= 256


def test_refusal_lists_every_field_as_a_cause() -> None:
    errors = (FieldError("spec.size", "must be set", "Required"), FieldError("spec.a", "too big", "Invalid", 9))
    status = response_of(Decision(errors=errors))["status"]
    assert status["code"] == 422
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.size", "spec.a"]
    assert 'XTrinode.analytics.xtrinode.io "a" is invalid: spec.size: Required value: must be set' in status["message"]


def test_want_of_permission_is_403() -> None:
    status = response_of(Decision(errors=(FieldError("spec", "no", "Forbidden"),), forbidden=True))["status"]
    assert (status["code"], status["reason"]) == (403, "Forbidden")
