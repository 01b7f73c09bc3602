"""Calls on the wire: what is sent for each verb, what is retried, and what no answer can do to the others.

Opens with the verbs, then retries, credentials, streams beside calls, and the rate limit and metrics.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from crds.client import (
    AlreadyExists,
    Conflict,
    Credentials,
    Forbidden,
    Gone,
    Impersonation,
    InternalError,
    KubeClient,
    Malformed,
    NotFound,
    RetryPolicy,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from crds.client.credentials import Identity
from crds.client.resources import (
    CONFIG_MAPS,
    NAMESPACES,
    PODS,
    SECRETS,
    SUBJECT_ACCESS_REVIEWS,
    XTRINODES,
)
from tests.support.fake_api import Answer, FakeApi, Seen, event_line, obj, object_list, refusal

POD = "/api/v1/namespaces/ns/pods/a"
PODS_PATH = "/api/v1/namespaces/ns/pods"


class Pauses:
    """A sleep that takes no time and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi() as api:
        yield api


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def client(api: FakeApi, pauses: Pauses) -> AsyncIterator[KubeClient]:
    async with KubeClient(Credentials.fixed(api.url, token="t1"), sleep=pauses, read_timeout=5.0) as client:
        yield client


def identity(api: FakeApi, token: str) -> Identity:
    return Identity(server=api.url, token=token)


# The verbs


async def test_get_returns_the_plain_object(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, Answer(json=obj("a", "1")))
    assert await client.get(PODS, "a", "ns") == obj("a", "1")
    (seen,) = api.requests
    assert seen.headers["Authorization"] == "Bearer t1"
    assert seen.headers["User-Agent"] == "xtrinode"


async def test_create_posts_with_kind_and_namespace_of_the_object(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", PODS_PATH, Answer(201, json=obj("a", "1")))
    await client.create(PODS, {"metadata": {"name": "a", "namespace": "ns"}}, field_manager="m", dry_run=True)
    (seen,) = api.requests
    assert seen.json["apiVersion"] == "v1"
    assert seen.json["kind"] == "Pod"
    assert seen.query == {"fieldManager": "m", "dryRun": "All"}


async def test_a_subresource_is_posted_under_its_parent(api: FakeApi, client: KubeClient) -> None:
    api.on("POST", f"{POD}/eviction", Answer(201, json={"kind": "Status"}))
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": "ns"}}
    await client.create(PODS, eviction, name="a", subresource="eviction")
    assert api.requests[0].json == eviction


async def test_replace_puts_and_a_conflict_is_named(api: FakeApi, client: KubeClient) -> None:
    api.on("PUT", POD, refusal(409, "Conflict"))
    with pytest.raises(Conflict):
        await client.replace(PODS, obj("a", "1"))
    assert api.requests[0].json["metadata"]["resourceVersion"] == "1"


async def test_delete_sends_propagation_precondition_and_a_grace_period_of_zero(
    api: FakeApi, client: KubeClient
) -> None:
    api.on("DELETE", POD, Answer(json={"kind": "Status"}))
    await client.delete(PODS, "a", "ns", propagation="Foreground", uid="u", grace_period=0)
    assert api.requests[0].json == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("merge", "application/merge-patch+json"),
        ("json", "application/json-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
    ],
)
async def test_each_patch_type_has_its_content_type(
    api: FakeApi, client: KubeClient, kind: Any, content_type: str
) -> None:
    api.on("PATCH", f"{POD}/status", Answer(json=obj("a", "2")))
    await client.patch(PODS, "a", "ns", {"status": {}}, type=kind, subresource="status")
    assert api.requests[0].headers.getall("Content-Type") == [content_type]  # type: ignore[attr-defined]


async def test_apply_claims_only_what_an_applier_may(api: FakeApi, client: KubeClient) -> None:
    path = "/apis/analytics.xtrinode.io/v1/namespaces/ns/xtrinodes/a"
    api.on("PATCH", path, Answer(json=obj("a", "2")))
    server_fields = {"managedFields": [], "resourceVersion": "1", "creationTimestamp": "x", "generation": 1}
    wanted = obj(
        "a", "1", spec={"size": "m"}, status={"phase": "Ready"}, metadata={**server_fields, "labels": {"l": "1"}}
    )
    await client.apply(XTRINODES, wanted, manager="m", force=True)
    (seen,) = api.requests
    assert seen.headers["Content-Type"] == "application/apply-patch+yaml"
    assert seen.query == {"fieldManager": "m", "force": "true", "fieldValidation": "Strict"}
    assert seen.json == {
        "apiVersion": "analytics.xtrinode.io/v1",
        "kind": "XTrinode",
        "metadata": {"name": "a", "namespace": "ns", "uid": "uid-a", "labels": {"l": "1"}},
        "spec": {"size": "m"},
    }


async def test_apply_sends_status_to_the_status_subresource(api: FakeApi, client: KubeClient) -> None:
    path = "/apis/analytics.xtrinode.io/v1/namespaces/ns/xtrinodes/a/status"
    api.on("PATCH", path, Answer(json=obj("a", "2")))
    await client.apply(XTRINODES, obj("a", "1", status={"phase": "Ready"}), manager="m", subresource="status")
    assert api.requests[0].json["status"] == {"phase": "Ready"}
    assert api.requests[0].query["force"] == "false"


async def test_a_list_is_fetched_in_pages_with_its_version(api: FakeApi, client: KubeClient) -> None:
    api.on(
        "GET",
        PODS_PATH,
        Answer(json=object_list("9", obj("a", "1"), token="next")),
        Answer(json=object_list("9", obj("b", "2"))),
    )
    listed = await client.list_(PODS, "ns", label_selector="x=y", field_selector="spec.nodeName=n")
    assert listed.resource_version == "9"
    assert [item["metadata"]["name"] for item in listed.items] == ["a", "b"]
    assert listed.items[0]["kind"] == "Pod"
    assert listed.items[0]["apiVersion"] == "v1"
    first, second = api.requests
    assert first.query == {"labelSelector": "x=y", "fieldSelector": "spec.nodeName=n", "limit": "500"}
    assert second.query == {**first.query, "continue": "next"}


async def test_a_list_whose_snapshot_expires_starts_again_unpaged(api: FakeApi, client: KubeClient) -> None:
    api.on(
        "GET",
        PODS_PATH,
        Answer(json=object_list("9", obj("a", "1"), token="next")),
        refusal(410, "Expired"),
        Answer(json=object_list("12", obj("b", "2"))),
    )
    listed = await client.list_(PODS, "ns")
    assert [item["metadata"]["name"] for item in listed.items] == ["b"]
    assert listed.resource_version == "12"
    assert api.requests[-1].query == {}


@pytest.mark.parametrize(
    "body", [b"[]", b"nonsense", b"{}", b'{"items":[1],"metadata":{"resourceVersion":"1"}}', b'{"items":[]}']
)
async def test_a_list_that_is_none_is_malformed(api: FakeApi, client: KubeClient, body: bytes) -> None:
    api.on("GET", PODS_PATH, Answer(body=body))
    with pytest.raises(Malformed):
        await client.list_(PODS, "ns")


async def test_an_empty_go_slice_is_an_empty_list(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", PODS_PATH, Answer(body=b'{"metadata":{"resourceVersion":"1"},"items":null}'))
    assert (await client.list_(PODS, "ns")).items == []


async def test_metadata_only_asks_for_metadata(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", "/api/v1/secrets", Answer(json=object_list("1")))
    await client.list_(SECRETS, metadata_only=True)
    assert "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1" in api.requests[0].headers["Accept"]


async def test_a_pod_s_log_is_streamed(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", f"{POD}/log", Answer(body=b"one\ntwo\n"))
    async with aclosing(client.logs("a", "ns", container="c", tail=2)) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == b"one\ntwo\n"
    assert api.requests[0].query == {"container": "c", "tailLines": "2"}


async def test_any_path_can_be_read(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", "/version", Answer(json={"gitVersion": "v1.33.0"}))
    assert (await client.version())["gitVersion"] == "v1.33.0"
    assert b"v1.33.0" in await client.raw("/version", {"timeout": "1s"})


async def test_a_redirect_is_not_followed_with_our_token(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, Answer(302, headers={"Location": "/version"}))
    with pytest.raises(Exception, match="302"):
        await client.get(PODS, "a", "ns")
    assert len(api.requests) == 1


# Retries


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_a_read_survives_a_server_in_trouble(api: FakeApi, client: KubeClient, code: int) -> None:
    api.on("GET", POD, refusal(code, ""), Answer(code, body=b"<html>"), Answer(json=obj("a", "1")))
    assert (await client.get(PODS, "a", "ns"))["metadata"]["name"] == "a"


async def test_a_read_survives_a_reset(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, Answer(reset=True), Answer(reset=True), Answer(reset=True), Answer(json=obj("a", "1")))
    assert (await client.get(PODS, "a", "ns"))["metadata"]["name"] == "a"


async def test_retry_after_is_waited_for(api: FakeApi, client: KubeClient, pauses: Pauses) -> None:
    api.on("GET", POD, Answer(429, headers={"Retry-After": "7"}), Answer(json=obj("a", "1")))
    await client.get(PODS, "a", "ns")
    assert 7.0 <= pauses.asked[0] < 8.0


async def test_attempts_end_and_the_last_error_is_told(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, refusal(503, "ServiceUnavailable", "etcd is away"))
    with pytest.raises(Unavailable, match="get pods ns/a: etcd is away"):
        await client.get(PODS, "a", "ns")
    assert len(api.requests) == RetryPolicy().attempts


async def test_apply_and_versioned_put_are_repeated(api: FakeApi, client: KubeClient) -> None:
    api.on("PATCH", POD, refusal(503, ""), Answer(json=obj("a", "2")))
    api.on("PUT", POD, refusal(500, "InternalError"), Answer(json=obj("a", "2")))
    await client.apply(PODS, obj("a", "1"), manager="m")
    await client.replace(PODS, obj("a", "1"))
    assert len(api.requests) == 4


async def test_a_patch_that_holds_for_one_version_is_repeated(api: FakeApi, client: KubeClient) -> None:
    """When it did arrive, the version has moved on, and the caller hears of a conflict."""
    api.on("PATCH", POD, Answer(reset=True), refusal(409, "Conflict"))
    with pytest.raises(Conflict):
        await client.patch(PODS, "a", "ns", {"metadata": {"resourceVersion": "1", "finalizers": []}})
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    "answer", [refusal(429, "TooManyRequests"), refusal(500, ""), refusal(503, ""), Answer(reset=True)]
)
async def test_a_create_is_sent_once(api: FakeApi, client: KubeClient, answer: Answer) -> None:
    api.on("POST", PODS_PATH, answer)
    with pytest.raises((TooManyRequests, InternalError, Unavailable)):
        await client.create(PODS, {"metadata": {"generateName": "a-", "namespace": "ns"}})
    assert len(api.requests) == 1


async def test_a_review_makes_nothing_and_is_repeated(api: FakeApi, client: KubeClient) -> None:
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    api.on("POST", path, Answer(reset=True), Answer(201, json={"status": {"allowed": True}}))
    review = await client.create(SUBJECT_ACCESS_REVIEWS, {"spec": {}}, idempotent=True)
    assert review["status"]["allowed"]


async def test_a_json_patch_that_may_have_been_applied_is_not_sent_again(api: FakeApi, client: KubeClient) -> None:
    api.on("PATCH", POD, Answer(reset=True), Answer(json=obj("a", "2")))
    with pytest.raises(Unavailable):
        await client.patch(PODS, "a", "ns", [{"op": "add", "path": "/x/-", "value": 1}], type="json")
    assert len(api.requests) == 1


async def test_a_delete_that_may_have_been_done_is_not_done_again(api: FakeApi, client: KubeClient) -> None:
    api.on("DELETE", POD, Answer(reset=True), Answer(json={"kind": "Status"}))
    with pytest.raises(Unavailable, match="broke"):
        await client.delete(PODS, "a", "ns")
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(403, "Forbidden"), Forbidden),
        (refusal(404, "NotFound"), NotFound),
        (refusal(410, "Expired"), Gone),
        (refusal(409, "AlreadyExists"), AlreadyExists),
        (Answer(404, body=b'{"error": "no route"}'), NotFound),
        (Answer(401, body=b""), Unauthorized),
    ],
)
async def test_a_refusal_is_final(api: FakeApi, client: KubeClient, answer: Answer, error: type[Exception]) -> None:
    api.on("GET", POD, answer)
    with pytest.raises(error):
        await client.get(PODS, "a", "ns")
    assert len(api.requests) == 1


async def test_a_missing_object_is_one_request(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, refusal(404, "NotFound"))
    with pytest.raises(NotFound):
        await client.get(PODS, "a", "ns")
    assert len(api.requests) == 1


async def test_a_refused_connection_is_unavailable(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with KubeClient(Credentials.fixed(url), retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(Unavailable, match="cannot be reached") as error:
            await client.create(NAMESPACES, {"metadata": {"name": "a"}})
    assert error.value.status == 0
    assert error.value.__cause__ is not None


async def test_a_loop_that_cannot_open_a_connection_is_one_that_broke(
    api: FakeApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvloop refuses a new socket whose number it still knows as that of one that was cut."""
    real, refused = aiohttp.ClientSession.request, [True]

    def request(session: aiohttp.ClientSession, *arguments: Any, **options: Any) -> Any:
        if refused:
            refused.pop()
            raise RuntimeError("File descriptor 15 is used by transport")
        return real(session, *arguments, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", request)
    api.on("GET", POD, Answer(json=obj("a", "1")))
    assert (await client.get(PODS, "a", "ns"))["metadata"]["name"] == "a"


async def test_a_server_that_stops_answering_is_given_up(api: FakeApi) -> None:
    api.on("GET", POD, Answer(after=asyncio.Event()))
    async with KubeClient(Credentials.fixed(api.url), retry=RetryPolicy(attempts=1), read_timeout=0.05) as client:
        with pytest.raises(Unavailable, match="stopped answering"):
            await client.get(PODS, "a", "ns")


# Credentials


async def test_a_refused_token_is_read_again_once(api: FakeApi) -> None:
    async def again() -> Identity:
        return identity(api, "new")

    def judge(seen: Seen) -> Answer:
        return Answer(201, json=obj("a", "1")) if seen.headers["Authorization"] == "Bearer new" else Answer(401)

    api.on("POST", PODS_PATH, judge)
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        # Even a POST: a request that was not authenticated was not acted upon.
        await client.create(PODS, obj("a", "1"))
    assert [seen.headers["Authorization"] for seen in api.requests] == ["Bearer old", "Bearer new"]


async def test_the_same_token_again_is_not_tried(api: FakeApi) -> None:
    async def again() -> Identity:
        return identity(api, "old")

    api.on("GET", POD, Answer(401))
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        with pytest.raises(Unauthorized):
            await client.get(PODS, "a", "ns")
    assert len(api.requests) == 1


async def test_a_new_token_that_is_refused_too_ends_it(api: FakeApi) -> None:
    count = iter(range(100))

    async def again() -> Identity:
        return identity(api, f"t{next(count)}")

    api.on("GET", POD, Answer(401))
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        with pytest.raises(Unauthorized):
            await client.get(PODS, "a", "ns")
    assert len(api.requests) == 2


async def test_many_refused_calls_log_in_once(api: FakeApi) -> None:
    logins = 0

    async def again() -> Identity:
        nonlocal logins
        logins += 1
        await asyncio.sleep(0)
        return identity(api, "new")

    def judge(seen: Seen) -> Answer:
        return Answer(json=obj("a", "1")) if seen.headers["Authorization"] == "Bearer new" else Answer(401)

    api.on("GET", POD, judge)
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        await asyncio.gather(*(client.get(PODS, "a", "ns") for _ in range(20)))
    assert logins == 1


async def test_impersonation_is_sent_with_every_group(api: FakeApi) -> None:
    api.on("GET", POD, Answer(json=obj("a", "1")))
    impersonate = Impersonation("eve", ("devs", "ops"))
    async with KubeClient(Credentials.fixed(api.url), impersonate=impersonate) as client:
        await client.get(PODS, "a", "ns")
    headers = api.requests[0].headers
    assert headers["Impersonate-User"] == "eve"
    assert headers.getall("Impersonate-Group") == ["devs", "ops"]  # type: ignore[attr-defined]


# Streams beside calls


async def test_a_forbidden_call_cuts_no_watch(api: FakeApi, client: KubeClient) -> None:
    watch = api.watch("/api/v1/pods")
    api.on("GET", POD, refusal(403, "Forbidden"))
    async with aclosing(client.watch(PODS)) as events:
        following = asyncio.ensure_future(anext(events))
        feed = await watch.opened()
        with pytest.raises(Forbidden):
            await client.get(PODS, "a", "ns")
        feed.send("ADDED", obj("a", "1"))
        assert (await following).resource_version == "1"
    assert len(watch.feeds) == 1
    assert len(api.seen("GET", POD)) == 1


async def test_a_new_token_cuts_no_watch(api: FakeApi) -> None:
    async def again() -> Identity:
        return identity(api, "new")

    api.on("GET", POD, Answer(401), Answer(json=obj("a", "1")))
    watch = api.watch("/api/v1/pods")
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        async with aclosing(client.watch(PODS)) as events:
            following = asyncio.ensure_future(anext(events))
            feed = await watch.opened()
            await client.get(PODS, "a", "ns")
            feed.send("ADDED", obj("a", "1"))
            assert (await following).resource_version == "1"


async def test_a_watch_with_a_refused_token_logs_in_once(api: FakeApi) -> None:
    async def again() -> Identity:
        return identity(api, "new")

    watch = api.watch("/api/v1/pods")
    watch.refuse(Answer(401))
    async with KubeClient(Credentials(identity(api, "old"), again)) as client:
        async with aclosing(client.watch(PODS)) as events:
            following = asyncio.ensure_future(anext(events))
            (await watch.opened()).send("ADDED", obj("a", "1"))
            await following
    assert [seen.headers["Authorization"] for seen in api.requests] == ["Bearer old", "Bearer new"]


async def test_many_watches_leave_room_for_calls(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, Answer(json=obj("a", "1")))
    watch = api.watch("/api/v1/pods")
    streams = [client.watch(PODS) for _ in range(130)]
    following = [asyncio.ensure_future(anext(events)) for events in streams]
    try:
        feeds = [await watch.opened() for _ in streams]
        await client.get(PODS, "a", "ns")
        for feed in feeds:
            feed.send("ADDED", obj("a", "1"))
        await asyncio.gather(*following)
    finally:
        for events in streams:
            await events.aclose()


async def test_calls_reuse_their_connection(api: FakeApi, client: KubeClient) -> None:
    api.on("GET", POD, Answer(json=obj("a", "1")))
    for _ in range(3):
        await client.get(PODS, "a", "ns")
    assert len({seen.peer for seen in api.requests}) == 1


async def test_what_the_caller_raises_inside_a_watch_stays_what_it_is(api: FakeApi, client: KubeClient) -> None:
    watch = api.watch("/api/v1/pods")
    with pytest.raises(ConnectionResetError, match="my own"):
        async with aclosing(client.watch(PODS)) as events:
            feed = asyncio.ensure_future(watch.opened())
            feed.add_done_callback(lambda done: done.result().send("ADDED", obj("a", "1")))
            async for _ in events:
                raise ConnectionResetError("my own")
    assert len(watch.feeds) == 1


async def test_leaving_a_watch_closes_its_connection(api: FakeApi, client: KubeClient) -> None:
    watch = api.watch("/api/v1/pods")
    async with aclosing(client.watch(PODS)) as events:
        following = asyncio.ensure_future(anext(events))
        feed = await watch.opened()
        feed.send("ADDED", obj("a", "1"))
        await following
    feed.write(b"\n")
    await asyncio.wait_for(feed.closed.wait(), 5)


async def test_a_watch_asks_for_bookmarks_and_a_random_end(api: FakeApi, client: KubeClient) -> None:
    watch = api.watch("/api/v1/namespaces/ns/pods")
    async with aclosing(client.watch(PODS, "ns", resource_version="5", label_selector="x", dice=lambda: 0.5)) as events:
        following = asyncio.ensure_future(anext(events))
        feed = await watch.opened()
        feed.bookmark("6")
        await following
    assert feed.seen.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "450",
        "resourceVersion": "5",
        "labelSelector": "x",
    }


async def test_a_watch_is_read_whatever_the_cuts(api: FakeApi, client: KubeClient) -> None:
    watch = api.watch("/api/v1/pods")
    line = event_line("ADDED", obj("a", "1"))
    async with aclosing(client.watch(PODS)) as events:
        following = asyncio.ensure_future(anext(events))
        feed = await watch.opened()
        for position in range(len(line)):
            feed.write(line[position : position + 1])
        assert (await following).object == obj("a", "1")
        feed.end()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_closing_ends_connections_and_refuses_more(api: FakeApi) -> None:
    client = KubeClient(Credentials.fixed(api.url))
    api.on("GET", POD, Answer(json=obj("a", "1")))
    await client.get(PODS, "a", "ns")
    await client.close()
    await client.close()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get(PODS, "a", "ns")


# Metrics and the rate limit


async def test_every_attempt_is_reported(api: FakeApi) -> None:
    calls: list[tuple[str, str, int]] = []

    def on_call(verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        calls.append((verb, resource, code))

    api.on("GET", f"{POD}/status", Answer(reset=True), refusal(503, ""), Answer(json=obj("a", "1")))
    api.on("PATCH", "/api/v1/namespaces/ns/configmaps/a", Answer(json=obj("a", "1")))
    retry = RetryPolicy(base=0.001)
    async with KubeClient(Credentials.fixed(api.url), retry=retry, on_call=on_call) as client:
        await client.get(PODS, "a", "ns", subresource="status")
        await client.apply(CONFIG_MAPS, obj("a", "1"), manager="m")
    assert calls[:3] == [("get", "pods/status", code) for code in (0, 503, 200)]
    assert calls[3:] == [("apply", "configmaps", 200)]


async def test_a_metrics_hook_that_fails_fails_no_call(api: FakeApi) -> None:
    def on_call(verb: str, resource: str, code: int, seconds: float) -> None:
        raise RuntimeError("no")

    api.on("GET", POD, Answer(json=obj("a", "1")))
    async with KubeClient(Credentials.fixed(api.url), on_call=on_call) as client:
        await client.get(PODS, "a", "ns")
