"""The plugin's thin client against whatever a server may send: an answer, or an error that says what it is."""

from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crds.client.errors import ApiError, ConfigError, Forbidden, Gone, NotFound, Unavailable
from crds.client.resources import XTRINODES
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.options import Connection

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.sampled_from(["ERROR", "ADDED", "410"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "object", "code", "message", "details", "reason"]), inner, max_size=4
        )
    ),
    max_leaves=6,
)
json_lines = st.lists(json_values, max_size=3).map(
    lambda values: b"\n".join(json.dumps(one).encode() for one in values)
)


class Server:
    """Answers every request with the same bytes and remembers what it was sent."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, dict(self.headers.items()), body))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            do_GET = do_PATCH = handle_one

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def answer(self, status: int, body: object) -> None:
        self.status, self.body = status, body if isinstance(body, bytes) else json.dumps(body).encode()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def connect(server: Server, tmp_path: Path) -> Callable[..., Kube]:
    """A client by a kubeconfig with this user."""

    def make(user: dict[str, object] | None = None, **flags: object) -> Kube:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": user or {}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "team"}}],
        }
        path = tmp_path / "config"
        path.write_text(yaml.safe_dump(document))
        return Kube.connect(Connection(kubeconfig=str(path), **flags))

    return make


def header(server: Server, name: str) -> str | None:
    return server.requests[-1][2].get(name)


def test_namespace_is_that_of_the_context_unless_it_is_given(connect: Callable[..., Kube]) -> None:
    assert connect().namespace == "team"
    assert connect(namespace="other").namespace == "other"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({"token": "t"}, "Bearer t"),
        ({"username": "a", "password": "b"}, f"Basic {base64.b64encode(b'a:b').decode()}"),
        ({}, None),
    ],
)
def test_credentials_of_the_user_are_sent(
    server: Server, connect: Callable[..., Kube], user: dict[str, object], expected: str | None
) -> None:
    server.answer(200, {})
    connect(user).get(XTRINODES, "a", "team")
    assert header(server, "Authorization") == expected


def test_token_of_a_credential_plugin_is_sent(server: Server, connect: Callable[..., Kube]) -> None:
    server.answer(200, {})
    code = "import json; print(json.dumps({'status': {'token': 'from-plugin'}}))"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": ["-c", code]}
    connect({"exec": plugin}).get(XTRINODES, "a", "team")
    assert header(server, "Authorization") == "Bearer from-plugin"


def test_missing_credential_plugin_says_how_to_get_it(connect: Callable[..., Kube]) -> None:
    plugin = {"command": "no-such-plugin", "installHint": "type: install it"}
    with pytest.raises(ConfigError, match="type: install it"):
        connect({"exec": plugin})


def test_impersonation_is_sent(server: Server, connect: Callable[..., Kube]) -> None:
    server.answer(200, {})
    connect(as_user="alice", as_group=("dev",)).get(XTRINODES, "a", "team")
    assert (header(server, "Impersonate-User"), header(server, "Impersonate-Group")) == ("alice", "dev")


def test_patch_is_a_merge_patch_under_our_name(server: Server, connect: Callable[..., Kube]) -> None:
    server.answer(200, {})
    connect().patch(XTRINODES, "a", "team", {"spec": {"suspended": True}}, dry_run=True)
    method, path, headers, body = server.requests[-1]
    assert (method, headers["Content-Type"]) == ("PATCH", "application/merge-patch+json")
    assert "fieldManager=kubectl-xtrinode" in path
    assert "dryRun=All" in path
    assert json.loads(body) == {"spec": {"suspended": True}}


@pytest.mark.parametrize(
    ("code", "kind"), [(404, NotFound), (403, Forbidden), (410, Gone), (503, Unavailable), (418, ApiError)]
)
def test_refusals_keep_their_meaning(
    server: Server, connect: Callable[..., Kube], code: int, kind: type[ApiError]
) -> None:
    server.answer(code, {"kind": "Status", "code": code, "message": "because"})
    with pytest.raises(kind, match="because"):
        connect().get(XTRINODES, "a", "team")


def test_server_that_is_not_there_is_an_error_with_its_address() -> None:
    kube = Kube.connect(Connection(server="http://127.0.0.1:1", kubeconfig=None))
    with pytest.raises(ApiError, match=r"127\.0\.0\.1:1"):
        kube.get(XTRINODES, "a", "team")


def test_watch_yields_events_and_ends_with_the_stream(server: Server, connect: Callable[..., Kube]) -> None:
    lines = [{"type": "ADDED", "object": {"n": 1}}, {"type": "MODIFIED", "object": {"n": 2}}]
    server.answer(200, b"\n".join(json.dumps(line).encode() for line in lines) + b"\n")
    assert list(connect().watch(XTRINODES, "team", "1", timeout=1)) == [("ADDED", {"n": 1}), ("MODIFIED", {"n": 2})]


def test_error_in_a_watch_is_raised(server: Server, connect: Callable[..., Kube]) -> None:
    server.answer(200, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})
    with pytest.raises(Gone):
        list(connect().watch(XTRINODES, "team", "1", timeout=1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from([200, 404, 500]), body=st.binary(max_size=200) | json_lines)
def test_any_bytes_are_an_answer_or_an_error(
    server: Server, connect: Callable[..., Kube], status: int, body: bytes
) -> None:
    server.answer(status, body)
    kube = connect()
    for call in (
        lambda: kube.get(XTRINODES, "a", "team"),
        lambda: list(kube.watch(XTRINODES, "team", "1", timeout=1)),
    ):
        try:
            call()
        except ApiError as error:
            assert str(error)
