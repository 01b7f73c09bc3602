"""Trino's statements through the gateway: where queries live, what their pages tell, how refusals reach clients."""

from __future__ import annotations

import gzip
import zlib

import pytest

from gateway.proxy.settings import ProxySettings
from gateway.routing.model import BackendState, Outcome
from tests.support.gateway_wire import (
    GET,
    POLL,
    POST,
    QUERY_ID,
    Bench,
    Peer,
    backend,
    body_of,
    chunked,
    page,
    reply,
    status_of,
    table,
)

ID = QUERY_ID.encode()
POLL_GET = f"GET {POLL} HTTP/1.1\r\nHost: gw:8080\r\n\r\n".encode()
POLL_DELETE = POLL_GET.replace(b"GET", b"DELETE")
BIG_PAGE = page(columns=[{"name": "a", "type": "varchar"}], data=[["x" * 100]] * 2000)
LAST_PAGE = page(state="FINISHED", more=False, columns=[{"name": "a"}], data=[[1]])


def known(bench: Bench) -> Bench:
    """A bench whose coordinator is known to have made QUERY_ID."""
    bench.router.identified(bench.only_target, b"abcde")
    return bench


def running(bench: Bench, state: bytes = b"RUNNING") -> Bench:
    """A bench whose coordinator is known to run QUERY_ID, so that its end can be seen."""
    known(bench).router.query_seen(bench.only_target, ID, state, False, bench.time)
    assert bench.live == {state: 1}
    return bench


# -- what pages tell


def encodings(body: bytes) -> dict[str, bytes]:
    compressed = gzip.compress(body)
    deflated = zlib.compress(body)
    return {
        "length": reply(body),
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, 333),
        "gzip": reply(compressed, b"Content-Encoding: gzip"),
        "gzip chunked": b"HTTP/1.1 200 OK\r\nContent-Encoding: GZIP\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked(compressed, 50),
        "deflate": reply(deflated, b"Content-Encoding: deflate"),
        "until close": b"HTTP/1.1 200 OK\r\n\r\n" + body,
    }


@pytest.mark.parametrize("encoding", encodings(b""))
@pytest.mark.parametrize("step", [0, 1, 100, 5000])
def test_the_owner_of_a_new_query_is_learnt_however_its_answer_comes(encoding: str, step: int) -> None:
    bench = Bench()
    client = bench.client()
    client.send(POST)
    upstream = bench.accept()
    response = encodings(page(state="QUEUED"))[encoding]
    upstream.send(response, step)
    if encoding == "until close":
        upstream.half_close()
        assert client.take().endswith(page(state="QUEUED"))
    else:
        assert client.take() == response
    assert bench.router.owner(ID, bench.time) is bench.only_target
    assert bench.live == {b"QUEUED": 1}
    assert bench.only_target.queries == 1


@pytest.mark.parametrize("encoding", encodings(b""))
@pytest.mark.parametrize("step", [0, 1000])
def test_the_last_page_is_seen_to_be_the_last(encoding: str, step: int) -> None:
    bench = running(Bench())
    client = bench.client()
    client.send(POLL_GET)
    upstream = bench.accept()
    upstream.send(encodings(LAST_PAGE)[encoding], step)
    if encoding == "until close":
        upstream.half_close()
    assert bench.live == {}
    assert bench.only_target.queries == 0


@pytest.mark.parametrize("encoding", encodings(b""))
def test_a_large_page_is_known_by_its_head_alone(encoding: str) -> None:
    bench = known(Bench())
    client = bench.client()
    client.send(POLL_GET)
    response = encodings(BIG_PAGE)[encoding]
    upstream = bench.accept()
    first_looked = bench.time
    upstream.send(response[:20000])
    assert bench.only_target.queries == 1
    bench.time += 1
    upstream.send(response[20000:])
    if encoding != "until close":
        assert client.take() == response
    assert bench.only_target.queries == 1
    assert bench.only_target.last_seen == first_looked  # not looked at again


@pytest.mark.parametrize("request_", [POST, POLL_GET])
def test_a_page_in_two_pieces_is_read_at_every_split(request_: bytes) -> None:
    response = reply(page(state="RUNNING", data=[[1]]))
    for cut in range(1, len(response)):
        bench = known(Bench())
        client = bench.client()
        client.send(request_)
        upstream = bench.accept()
        upstream.send(response[:cut])
        upstream.send(response[cut:])
        assert client.take() == response
        assert bench.live == {b"RUNNING": 1}


def test_a_failed_statement_is_done() -> None:
    bench = running(Bench())
    bench.exchange(POST, reply(page(state="FAILED", more=False, error={"message": "no"})))
    assert bench.live == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{ "stats" : {"a":{"b":[1,"}"]}, "state" : "RUNNING"}, "nextUri":"x\\"y" , "id" : "%b" }' % ID,
        b'{"id":"%b","infoUri":"x","nextUri":null,"stats":{"state":"FINISHED"}}' % ID,
        b'{"id":"%b","infoUri":"x","stats":{"state":"FINISHED"},"nextUri":"y"}' % ID,
    ],
)
def test_another_order_of_fields_is_understood(body: bytes) -> None:
    bench = running(Bench(), b"PLANNING")
    bench.exchange(POST, reply(body))
    state = b"FINISHED" if b"FINISHED" in body else b"RUNNING"
    assert bench.live == ({} if b"null" in body else {state: 1})


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"id":1}', b'{"id":"x"}', b'{"id":', b"null", b"\xff\xfe", b'{"id":"../../x"}', b"[" * 9999],
)
@pytest.mark.parametrize("headers", [(), (b"Content-Encoding: gzip",), (b"Content-Encoding: br",)])
def test_a_body_that_is_no_page_passes_and_tells_nothing(body: bytes, headers: tuple[bytes, ...]) -> None:
    bench = Bench()
    response = reply(body, *headers)
    assert bench.exchange(POST, response)[2] == response
    assert bench.live == {}
    assert bench.only_target.last_seen == 0.0


def test_a_cancelled_query_is_done() -> None:
    bench = running(Bench())
    _, _, answered, _ = bench.exchange(POLL_DELETE, b"HTTP/1.1 204 No Content\r\n\r\n")
    assert answered == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert bench.live == {}


# -- where requests go


def two(bench_settings: ProxySettings | None = None) -> tuple[Bench, bytes, bytes]:
    """Two coordinators of one route; the second made QUERY_ID. Addresses of both."""
    bench = Bench(table(backend("one"), backend("two")), bench_settings)
    first, second = bench.router.targets()
    bench.router.identified(first, b"zzzzz")
    bench.router.identified(second, b"abcde")
    second.inflight += 100  # nobody would choose it
    return bench, first.ip.encode(), second.ip.encode()


@pytest.mark.parametrize(
    "target",
    [
        POLL.encode(),
        b"/v1/statement/queued/%b/y/1?maxWait=1s" % ID,
        b"/v1/statement/executing/partialCancel/%b/1/y/2" % ID,
        b"/v1/query/%b" % ID,
        b"/v1/query/%b?pretty" % ID,
        b"/ui/query.html?%b" % ID,
        b"/ui/api/query/%b" % ID,
    ],
)
def test_whatever_names_a_query_goes_to_its_coordinator(target: bytes) -> None:
    bench, _, owner = two()
    client = bench.client()
    client.send(b"GET " + target + b" HTTP/1.1\r\nHost: no.such.host\r\nX-Trino-XTrinode: no/such\r\n\r\n")
    assert bench.connecting[0].target.ip.encode() == owner


def test_a_new_statement_goes_where_there_is_least_to_do() -> None:
    bench, first, _ = two()
    client = bench.client()
    client.send(POST)
    assert bench.connecting[0].target.ip.encode() == first


def test_a_transaction_stays_with_its_coordinator() -> None:
    bench, _, owner = two()
    second = bench.router.targets()[1]
    second.inflight = 0
    bench.router.targets()[0].inflight = 100
    client = bench.client()
    client.send(POST)
    upstream = bench.accept()
    upstream.send(reply(page(), b"X-Trino-Started-Transaction-Id: t-1"))
    second.inflight, bench.router.targets()[0].inflight = 100, 0
    client.send(POST.replace(b"X-Trino-User: u", b"X-Trino-User: u\r\nX-Trino-Transaction-Id: t-1"))
    assert b"Transaction-Id: t-1" in upstream.take()
    upstream.send(reply(page()))
    client.send(POST.replace(b"X-Trino-User: u", b"X-Trino-User: u\r\nX-Trino-Transaction-Id: NONE"))
    assert bench.connecting[0].target.ip.encode() != owner


@pytest.mark.parametrize(
    "call",
    [
        b"CALL system.runtime.kill_query(query_id => '%b', message => 'no')" % ID,
        b"  call kill_query ( '%b' )" % ID,
        b"CALL runtime.kill_query('%b', 'x')" % ID,
    ],
)
def test_a_query_is_killed_where_it_runs(call: bytes) -> None:
    bench, first, owner = two()
    for statement, expected in ((call, owner), (b"SELECT '" + call.replace(b"'", b"''") + b"'", first)):
        client = bench.client()
        client.send(POST[:-10].replace(b"Length: 8", b"Length: %d" % len(statement)) + b"\r\n" + statement)
        assert bench.connecting.popleft().target.ip.encode() == expected


def test_an_oauth2_exchange_stays_with_its_coordinator() -> None:
    bench, _, _ = two()
    client = bench.client()
    client.send(POST)
    upstream = bench.accept()
    challenge = b'WWW-Authenticate: Bearer x_redirect_server="https://gw/oauth2/token/initiate/h1", x_token_server="https://gw/oauth2/token/a1"'
    upstream.send(reply(b"", challenge, status=b"401 Unauthorized"))
    assert challenge in client.take()
    upstream.take()
    first = bench.router.targets()[0]
    first.inflight = 500
    for path in (b"/oauth2/token/a1", b"/oauth2/token/initiate/h1"):
        client.send(GET.replace(b"/v1/info", path))
        assert upstream.take().startswith(b"GET " + path)
        upstream.send(reply(b"{}"))
        client.take()
    client.send(GET.replace(b"/v1/info", b"/oauth2/token/other"))
    assert bench.connecting


STATE = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJ0cmlub19vYXV0aF91aSJ9.c2ln-_"
TO_PROVIDER = "https://idp.example.com/authorize?client_id=t&redirect_uri=https%3A%2F%2Fgw%2Foauth2%2Fcallback&state="


@pytest.mark.parametrize("started_at", [b"/ui/", b"/oauth2/token/initiate/h1"])
@pytest.mark.parametrize("returned", [STATE, STATE.replace(".", "%2E").replace("-", "%2d")])
def test_an_identity_providers_callback_goes_to_the_coordinator_that_began_the_login(
    started_at: bytes, returned: str
) -> None:
    bench, _, _ = two()
    browser = bench.client()
    browser.send(GET.replace(b"/v1/info", started_at))
    began = bench.connecting[0].target
    response = reply(b"", f"Location: {TO_PROVIDER}{STATE}&nonce=n".encode(), status=b"303 See Other")
    upstream = bench.accept()
    upstream.send(response)
    assert browser.take() == response
    upstream.take()
    began.inflight += 500  # nobody would choose it
    back = bench.client()  # the provider's redirect may come over another connection
    back.send(GET.replace(b"/v1/info", f"/oauth2/callback?code=c&state={returned}&session_state=x".encode()))
    assert upstream.take().startswith(b"GET /oauth2/callback?code=c&state=")
    upstream.send(reply(b"", b"Location: https://gw/ui/", status=b"303 See Other"))
    for other in (b"state=else", b"error=denied", b"state="):
        back.send(GET.replace(b"/v1/info", b"/oauth2/callback?" + other))
        assert bench.connecting.popleft().target is not began
        back = bench.client()


def test_only_a_redirect_begins_a_login() -> None:
    bench, _, _ = two()
    client = bench.client()
    client.send(GET)
    first = bench.connecting[0].target
    upstream = bench.accept()
    upstream.send(reply(b"", f"Location: {TO_PROVIDER}{STATE}".encode(), status=b"201 Created"))
    upstream.take()
    first.inflight += 500
    client.send(GET.replace(b"/v1/info", f"/oauth2/callback?state={STATE}".encode()))
    assert bench.connecting[0].target is not first


# -- a query nobody knows


def test_an_unknown_owner_is_asked_for_once_and_the_request_waits() -> None:
    bench = Bench()
    client, other = bench.client(), bench.client()
    client.send(POLL_GET)
    other.send(POLL_GET)
    assert client.take() == b""
    assert not bench.connecting
    (asking, query_id, candidates), _ = bench.owners
    assert query_id == ID
    assert candidates.targets == (bench.only_target,)
    assert asking is client.protocol


def answer_search(bench: Bench, found: bool) -> None:
    from gateway.proxy import dispatch

    asking, _, candidates = bench.owners.pop(0)
    dispatch.found_owner(asking, asking.serial, candidates.targets[0] if found else None)


def test_the_request_goes_on_when_the_owner_is_found() -> None:
    bench = Bench()
    client = bench.client()
    client.send(POLL_GET)
    answer_search(bench, True)
    bench.accept().send(reply(page()))
    assert client.take() == reply(page())
    assert bench.balance == 0


def test_the_request_is_refused_in_protocol_when_nobody_owns_the_query() -> None:
    bench = Bench()
    client = bench.client()
    client.send(POLL_GET)
    answer_search(bench, False)
    failed = body_of(client.take())
    assert failed["id"] == QUERY_ID
    assert "belongs to no coordinator" in failed["error"]["message"]
    client.send(POLL_GET)  # not asked for again at once
    assert not bench.owners
    assert body_of(client.take())["error"]["errorCode"] == 65545


def test_an_answer_that_comes_too_late_meets_nobody() -> None:
    bench = Bench(settings=ProxySettings(park_timeout=5))
    client = bench.client()
    client.send(POLL_GET)
    bench.pass_time(7)
    assert status_of(client.take()) == 503
    client.send(GET)
    upstream = bench.accept()
    upstream.take()
    answer_search(bench, True)
    assert upstream.take() == b""
    gone = bench.client()
    gone.send(POLL_GET)
    gone.reset()
    answer_search(bench, True)
    assert bench.balance == 1


# -- refusals


def refusal(bench: Bench, request: bytes) -> tuple[bytes, Peer]:
    client = bench.client()
    client.send(request)
    assert not bench.connecting
    return client.take(), client


REFUSED = [
    (BackendState.PAUSED, "SERVER_STARTING_UP", "kubectl xtrinode resume one"),
    (BackendState.RESUMING, "SERVER_STARTING_UP", "is starting"),
    (BackendState.DRAINING, "SERVER_SHUTTING_DOWN", "drained"),
]


@pytest.mark.parametrize(("state", "name", "words"), REFUSED)
def test_a_statement_is_refused_in_trinos_own_words(state: BackendState, name: str, words: str) -> None:
    bench = Bench(table(backend("one", state)))
    answered, client = refusal(bench, POST)
    assert status_of(answered) == 200
    assert b"\r\nContent-Type: application/json\r\n" in answered
    failed = body_of(answered)
    assert failed["error"]["errorName"] == name
    assert words in failed["error"]["message"]
    assert failed["error"]["errorType"] == "INTERNAL_ERROR"
    assert failed["stats"]["state"] == "FAILED"
    assert failed["infoUri"] == f"http://gw:8080/ui/query.html?{failed['id']}"
    assert "nextUri" not in failed
    assert not client.ended
    # Clients cancel what they have been told of, by id, and insist on the answer.
    client.send(b"DELETE /v1/query/" + failed["id"].encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.take() == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert bench.counters.refusals == {state.value.lower(): 1}


@pytest.mark.parametrize(("state", "name", "words"), REFUSED)
def test_other_paths_are_refused_in_plain_json(state: BackendState, name: str, words: str) -> None:
    answered, client = refusal(Bench(table(backend("one", state))), GET)
    assert status_of(answered) == 503
    assert b"\r\nRetry-After: " in answered
    assert words in body_of(answered)["error"]["message"]
    assert not client.ended


def test_an_unknown_selector_is_never_the_default() -> None:
    bench = Bench()
    request = POST.replace(b"X-Trino-User: u", b"X-Trino-XTrinode: no/such")
    failed = body_of(refusal(bench, request)[0])
    assert failed["error"]["errorType"] == "USER_ERROR"
    assert "no/such" in failed["error"]["message"]
    assert status_of(refusal(bench, GET[:-2] + b"X-Trino-XTrinode: no/such\r\n\r\n")[0]) == 404


def test_no_route_at_all() -> None:
    bench = Bench(table(backend("one"), default=False))
    assert status_of(refusal(bench, GET)[0]) == 404
    assert bench.exchange(GET.replace(b"gw:8080", b"ALL.example.com:8080"))[3]
    client = bench.client()
    client.send(GET[:-2] + b"X-Trino-XTrinode: team/all\r\n\r\n")
    assert bench.upstreams[0].take().startswith(b"GET ")


def test_a_head_request_is_refused_without_a_body() -> None:
    answered, client = refusal(Bench(table(backend("one"), default=False)), GET.replace(b"GET", b"HEAD"))
    assert answered.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert answered.endswith(b"\r\n\r\n")
    client.send(GET)
    assert status_of(client.take()) == 404


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (POLL_GET, 200),
        (POLL_DELETE, 204),
        (POLL_GET.replace(b"GET", b"HEAD"), 404),
        (GET.replace(b"/v1/info", b"/v1/query/" + ID), 404),
    ],
)
def test_a_query_whose_coordinator_is_gone(request_: bytes, status: int) -> None:
    bench = known(Bench())
    bench.router.set_addresses(backend("one").service, [("10.9.9.9", 8080)])
    answered, client = refusal(bench, request_)
    assert status_of(answered) == status
    if status == 200:
        assert body_of(answered)["id"] == QUERY_ID
        assert "is lost" in body_of(answered)["error"]["message"]
    assert not client.ended


def test_a_statement_that_is_refused_while_its_text_is_still_coming() -> None:
    bench = Bench(table(backend("one", BackendState.PAUSED)))
    answered, client = refusal(bench, POST.replace(b"Content-Length: 8", b"Content-Length: 9999"))
    assert status_of(answered) == 200
    assert b"\r\nConnection: close\r\n" in answered
    assert client.transport.eof_sent
    client.send(b"x" * 5000)
    assert client.take() == b""


def test_a_route_that_changes_is_seen_by_the_next_request_of_the_same_connection() -> None:
    bench = Bench()
    client, _, _, _ = bench.exchange(POST)
    bench.router.load(table(backend("one", BackendState.PAUSED)))
    client.send(POST)
    assert body_of(client.take())["error"]["errorName"] == "SERVER_STARTING_UP"


# -- failures


@pytest.mark.parametrize(("request_", "status"), [(POST, 200), (POLL_GET, 502), (POLL_DELETE, 502), (GET, 502)])
def test_a_coordinator_that_fails_is_told_of_as_the_client_needs_it(request_: bytes, status: int) -> None:
    bench = known(Bench())
    client = bench.client()
    client.send(request_)
    bench.accept().reset()
    answered = client.take()
    assert status_of(answered) == status
    if status == 200:
        assert body_of(answered)["error"]["errorType"] == "INTERNAL_ERROR"
    assert bench.outcomes == {Outcome.RESET: 1}


def test_a_poll_that_cannot_connect_is_not_sent_elsewhere() -> None:
    bench, _, _ = two()
    client = bench.client()
    client.send(POLL_GET)
    bench.decline()
    assert status_of(client.take()) == 502
    assert not bench.connecting


def test_a_statement_of_a_transaction_that_cannot_connect_is_not_sent_elsewhere() -> None:
    bench, _, _ = two()
    first = bench.router.targets()[0]
    bench.router.pin(b"transaction:t-1", first, bench.time)
    client = bench.client()
    client.send(POST.replace(b"X-Trino-User: u", b"X-Trino-User: u\r\nX-Trino-Transaction-Id: t-1"))
    assert bench.connecting[0].target is first
    bench.decline()
    assert "cannot be reached" in body_of(client.take())["error"]["message"]
    assert not bench.connecting
    # An id that nobody has pinned binds to nobody.
    first.inflight, bench.router.targets()[1].inflight = 0, 100
    client.send(POST.replace(b"X-Trino-User: u", b"X-Trino-User: u\r\nX-Trino-Transaction-Id: t-2"))
    first.inflight, bench.router.targets()[1].inflight = 200, 0
    bench.decline()
    assert bench.connecting[0].target is not first


def test_a_kill_that_cannot_connect_is_not_sent_elsewhere() -> None:
    bench, _, owner = two()
    client = bench.client()
    kill = b"CALL system.runtime.kill_query('%b')" % ID
    client.send(POST[:-10].replace(b"Length: 8", b"Length: %d" % len(kill)) + b"\r\n" + kill)
    assert bench.connecting[0].target.ip.encode() == owner
    bench.decline()
    assert "cannot be reached" in body_of(client.take())["error"]["message"]
    assert not bench.connecting


def test_the_failing_coordinators_circuit_opens() -> None:
    bench = Bench()
    for _ in range(10):
        client = bench.client()
        client.send(GET)
        bench.accept().reset()
    assert not bench.only_target.circuit.allows(bench.time)
