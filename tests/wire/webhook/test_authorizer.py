"""Asking the API server whether a user may do something: once, remembered for a moment, refused when in doubt."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from crds.client import Credentials, KubeClient, RetryPolicy
from tests.support.fake_api import Answer, FakeApi, refusal
from webhook.authorizer import Authorizer
from webhook.privileges import Access
from webhook.review import User

PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ACCESS = Access("spec.valuesOverlay", "update", "analytics.xtrinode.io", "xtrinodes", "valuesoverlay", "team")
ALICE = User("alice", groups=("dev",), extra={"scopes": ("a",)})


def verdict(allowed: bool, reason: str = "") -> Answer:
    return Answer(201, json={"status": {"allowed": allowed, "reason": reason}})


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        yield api


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    async with KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1)) as client:
        yield client


async def test_question_is_about_the_user_who_asked(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", PATH, verdict(True))
    assert await Authorizer(client, clock=lambda: 0.0).refusals(ALICE, (ACCESS,)) == ()
    (seen,) = api.requests
    assert seen.json["spec"] == {
        "user": "alice",
        "uid": "",
        "groups": ["dev"],
        "extra": {"scopes": ["a"]},
        "resourceAttributes": {
            "namespace": "team",
            "verb": "update",
            "group": "analytics.xtrinode.io",
            "resource": "xtrinodes",
            "subresource": "valuesoverlay",
        },
    }


async def test_answer_is_remembered_for_this_user_and_this_question_only(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", PATH, verdict(False, "no role"), verdict(True))
    authorizer = Authorizer(client, clock=lambda: 0.0)
    for _ in range(2):
        (error,) = await authorizer.refusals(ALICE, (ACCESS,))
        assert "no role" in error.message
    assert len(api.requests) == 1
    assert await authorizer.refusals(User("bob"), (ACCESS,)) == ()
    assert len(api.requests) == 2


async def test_answer_that_runs_out_while_it_is_looked_up_is_asked_again(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", PATH, verdict(True))
    ticks = itertools.count(0.0, 3.0)  # every look at the clock is three seconds after the last
    authorizer = Authorizer(client, clock=lambda: next(ticks))
    for _ in range(20):
        assert await authorizer.refusals(ALICE, (ACCESS,)) == ()


async def test_question_that_cannot_be_asked_is_a_refusal_and_not_remembered(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", PATH, refusal(403, "Forbidden"), verdict(True))
    authorizer = Authorizer(client, clock=lambda: 0.0)
    (error,) = await authorizer.refusals(ALICE, (ACCESS,))
    assert "try again" in error.message
    assert await authorizer.refusals(ALICE, (ACCESS,)) == ()
