"""The verbs on a bad day: refusals, warnings, a server that comes and goes, readers that go away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from crds.client.resources import XTRINODES
from kubectl_xtrinode.following import follow
from kubectl_xtrinode.kube import Kube
from kubectl_xtrinode.options import Connection

Object = dict[str, Any]
RUNTIMES = "/apis/analytics.xtrinode.io/v1/namespaces/team/xtrinodes"


def runtime(name: str, **status: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "team", "resourceVersion": "5", "generation": 1},
        "spec": {"size": "s"},
        "status": status,
    }


def refusal(code: int, reason: str, message: str = "refused") -> tuple[int, Object]:
    return code, {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}


class Api:
    """Answers by path, each answer once and the last one for ever; an answer that is a list is a watch's events."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.requests: list[str] = []
        self.warning = ""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                method = "WATCH" if "watch=true" in query else self.command
                outer.requests.append(f"{method} {path}")
                queue = outer.answers.get((method, path)) or [refusal(404, "NotFound", f"{path} not found")]
                code, body = queue.pop(0) if len(queue) > 1 else queue[0]
                self.send_response(code)
                if outer.warning:
                    self.send_header("Warning", outer.warning)
                self.end_headers()
                lines = body if isinstance(body, list) else [body]
                self.wfile.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

            do_GET = do_PATCH = handle_one

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def on(self, method: str, path: str, *answers: tuple[int, Any]) -> None:
        self.answers[(method, path)] = list(answers)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.close()


@pytest.fixture
def kubeconfig(api: Api, tmp_path: Path) -> str:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": api.url}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "namespace": "team"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return str(path)


Start = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def start(kubeconfig: str) -> Start:
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "NO_COLOR": "1"}

    def started(*arguments: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "kubectl_xtrinode", *arguments]
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment, **options}
        return subprocess.Popen(command, **settings)

    return started


@pytest.fixture
def run(start: Start) -> Run:
    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        process = start(*arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return ran


def table(*names: str) -> Object:
    return {
        "kind": "Table",
        "metadata": {"resourceVersion": "5"},
        "columnDefinitions": [{"name": "Name", "type": "string"}],
        "rows": [{"cells": [name], "object": {"metadata": {"name": name, "resourceVersion": "6"}}} for name in names],
    }


@pytest.mark.parametrize("rows", [1, 5000])
def test_reader_that_goes_away_is_no_error(api: Api, start: Start, rows: int) -> None:
    api.on("GET", RUNTIMES, (200, table(*(f"runtime-{number}" for number in range(rows)))))
    read, write = os.pipe()
    os.close(read)
    process = start("get", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_several_names_are_all_printed(api: Api, run: Run) -> None:
    api.on("GET", f"{RUNTIMES}/a", (200, runtime("a")))
    api.on("GET", f"{RUNTIMES}/b", (200, runtime("b")))
    listed = yaml.safe_load(run("get", "a", "b", "-o", "yaml").stdout)
    assert [one["metadata"]["name"] for one in listed["items"]] == ["a", "b"]


@pytest.mark.parametrize("form", ["wide", "json", "yaml", "name"])
def test_name_that_may_be_missing_is_no_error_in_any_form(run: Run, form: str) -> None:
    ran = run("get", "absent", "--ignore-not-found", "-o", form)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_the_server_warns_of_is_told(api: Api, run: Run) -> None:
    api.on("GET", f"{RUNTIMES}/a", (200, runtime("a")))
    api.on("PATCH", f"{RUNTIMES}/a", (200, runtime("a")))
    api.warning = '299 - "all \\"pods\\" stop", 299 - "and\x1b[2J more"'
    ran = run("suspend", "a", "--dry-run")
    assert ran.returncode == 0
    assert 'Warning: all "pods" stop\nWarning: and [2J more\n' in ran.stderr


def test_refusal_of_one_does_not_keep_the_others_awake(api: Api, run: Run) -> None:
    for name in ("a", "b", "c"):
        api.on("GET", f"{RUNTIMES}/{name}", (200, runtime(name)))
        api.on("PATCH", f"{RUNTIMES}/{name}", (200, runtime(name)))
    for name in ("a", "c"):
        api.on("PATCH", f"{RUNTIMES}/{name}", refusal(403, "Forbidden", f"{name} is not yours"))
    ran = run("suspend", "a", "b", "c")
    assert ran.returncode == 1
    assert ran.stdout == "xtrinode.analytics.xtrinode.io/b unchanged\n"
    assert [line.rpartition(": ")[2] for line in ran.stderr.splitlines()] == ["a is not yours", "c is not yours"]


def test_status_shows_what_one_may_see(api: Api, run: Run) -> None:
    api.on("GET", f"{RUNTIMES}/a", (200, runtime("a", phase="Ready", message="a\x1b[2J\nb")))
    api.on("GET", "/apis/apps/v1/namespaces/team/deployments", refusal(403, "Forbidden"))
    api.on("GET", "/api/v1/namespaces/team/pods", refusal(403, "Forbidden"))
    ran = run("status", "a")
    assert ran.returncode == 0
    assert "Message:      a [2J b\n" in ran.stdout
    assert "no permission to list pods" in ran.stderr


def test_watch_outlives_the_server_and_ends_with_ctrl_c(api: Api, start: Start) -> None:
    api.on("GET", RUNTIMES, (200, table("first")))
    ready = (200, [{"type": "ADDED", "object": table("second")}])
    api.on("WATCH", RUNTIMES, refusal(503, "ServiceUnavailable", "down"), refusal(503, "ServiceUnavailable"), ready)
    process = start("get", "--watch")
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert lines == ["NAME", "first", "second"]
    assert process.returncode == 130
    assert err.splitlines()[:2] == ["down; trying again", "connected again"]
    assert "Traceback" not in err


def test_server_that_ends_every_watch_is_asked_once_a_second(api: Api, kubeconfig: str) -> None:
    api.on("WATCH", RUNTIMES, (200, []), refusal(503, "ServiceUnavailable"), (200, []))
    kube = Kube.connect(Connection(kubeconfig=kubeconfig))
    moment = [0.0]

    def sleep(seconds: float) -> None:
        moment[0] += seconds

    assert list(follow(kube, XTRINODES, "team", "5", until=10.0, now=lambda: moment[0], sleep=sleep)) == []
    assert len(api.requests) == 10


def test_runtime_that_is_deleted_while_it_is_waited_for_is_named(api: Api, run: Run) -> None:
    api.on("GET", f"{RUNTIMES}/a", (200, runtime("a")))
    api.on("PATCH", f"{RUNTIMES}/a", (200, runtime("a")))
    api.on("GET", RUNTIMES, (200, {"metadata": {"resourceVersion": "9"}, "items": [runtime("a", phase="Ready")]}))
    api.on("WATCH", RUNTIMES, (200, [{"type": "DELETED", "object": runtime("a")}]))
    ran = run("suspend", "a", "--wait", "--timeout", "20s")
    assert ran.returncode == 1
    assert "'a' was deleted while waiting for Suspended" in ran.stderr


def test_full_disk_is_one_line(api: Api, start: Start) -> None:
    api.on("GET", RUNTIMES, (200, table("a")))
    with Path("/dev/full").open("w") as full:
        process = start("get", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(err.splitlines()) == 1
