"""Real Trino servers for tests: each a coordinator that is its own worker, with an object store for spooled results.

`RealTrino` starts one from an installation and ends it by process id; `Store` plays the object store that the spooling
protocol needs, in memory. By hand, for the tests that take an address (XTRINODE_TEST_TRINO):

    JAVA_HOME=... python -m tests.clients.real_trino.server "$(tools/fetch-trino)"
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import orjson

from sandbox.kubelet.java import java_for
from sandbox.processes import end_with_parent
from tests.support.gateway_process import free_port

_CATALOGS = ("tpch", "memory", "blackhole")
_START_WITHIN = 120.0  # a Java machine, on a machine that does other things as well


class RealTrino:
    """One server process. `home` is the directory of an installation; Java is found as the sandbox finds it."""

    def __init__(self, home: Path, directory: Path, *, store: Store | None = None, port: int = 0) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._home = home
        self._directory = directory
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self._directory / "log"

    def start(self) -> Self:
        """Returns before it answers; see `until_ready`."""
        _write(self._directory / "etc", self._files())
        java = java_for(self._home, os.environ)
        environment = {"PATH": f"{java / 'bin'}:/usr/bin:/bin", "JAVA_HOME": str(java), "HOME": str(self._directory)}
        command = [str(self._home / "bin" / "launcher"), "run", "--etc-dir", str(self._directory / "etc")]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, env=environment, preexec_fn=end_with_parent
            )
        return self

    def until_ready(self) -> Self:
        """Until it runs statements. That is a second or two after `"starting": false`: only then it knows its nodes."""
        end = time.monotonic() + _START_WITHIN
        while not (self._answers() and self._runs("SELECT count(*) FROM tpch.tiny.nation")):
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > end:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])
                raise AssertionError(f"Trino did not start (exit code {self._process.poll()}):\n{tail}")
            time.sleep(0.1)
        return self

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/v1/info", timeout=5) as reply:
                return orjson.loads(reply.read()).get("starting") is False
        except (urllib.error.URLError, OSError, ValueError):
            return False

    def _runs(self, sql: str) -> bool:
        headers = {"X-Trino-User": "test"}
        body: bytes | None = sql.encode()
        url = f"{self.url}/v1/statement"
        while url:
            request = urllib.request.Request(url, body, headers)
            with urllib.request.urlopen(request, timeout=30) as reply:
                page = orjson.loads(reply.read())
            url, body = page.get("nextUri"), None
        return "error" not in page

    def kill(self) -> None:
        """As a power cut does it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _files(self) -> dict[str, str]:
        config = {
            "coordinator": "true",
            "node-scheduler.include-coordinator": "true",
            "http-server.http.port": str(self.port),
            "http-server.process-forwarded": "true",
            "discovery.uri": self.url,
        }
        files = {
            "node.properties": _lines(
                {
                    "node.environment": "test",
                    "node.data-dir": str(self._directory / "data"),
                    "node.bind-ip": "127.0.0.1",
                    "node.internal-address": "127.0.0.1",
                }
            ),
            # Quick to start rather than fast for long.
            "jvm.config": "-Xmx1G\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-XX:+ExitOnOutOfMemoryError\n",
            **{f"catalog/{name}.properties": f"connector.name={name}\n" for name in _CATALOGS},
        }
        if self._store is not None:
            config |= {
                "protocol.spooling.enabled": "true",
                "protocol.spooling.shared-secret-key": base64.b64encode(bytes(32)).decode(),
                "protocol.spooling.retrieval-mode": "COORDINATOR_PROXY",
                "protocol.spooling.initial-segment-size": "1MB",
            }
            files["spooling-manager.properties"] = _lines(self._store.spooling())
        return {**files, "config.properties": _lines(config)}


def _lines(properties: dict[str, str]) -> str:
    return "".join(f"{key}={value}\n" for key, value in properties.items())


def _write(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Store:
    """An object store in memory with as much of the S3 protocol as spooling uses. Runs in a thread of its own."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                    body = unchunked(body)
                store.objects[self.path] = body
                self._answer(200, b"", {"ETag": '"x"'})

            def do_GET(self) -> None:
                found = store.objects.get(self.path)
                if found is None:
                    self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
                else:
                    self._answer(200, found, {"ETag": '"x"'})

            do_HEAD = do_GET

            def do_DELETE(self) -> None:
                store.objects.pop(self.path, None)
                self._answer(204, b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._answer(200, b"<DeleteResult/>")

            def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing: the tests look at what arrives."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spooling(self) -> dict[str, str]:
        """What goes into spooling-manager.properties."""
        return {
            "spooling-manager.name": "filesystem",
            "fs.s3.enabled": "true",
            "fs.location": "s3://spool/",
            "fs.segment.encryption": "false",
            "s3.endpoint": f"http://127.0.0.1:{self._server.server_port}",
            "s3.region": "us-east-1",
            "s3.path-style-access": "true",
            "s3.aws-access-key": "key",
            "s3.aws-secret-key": "not-a-secret",
        }


def unchunked(body: bytes) -> bytes:
    """The data of an upload that is sent as signed or checksummed chunks."""
    parts = []
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if size == 0:
            break
        parts.append(rest[:size])
        body = rest[size + 2 :]
    return b"".join(parts)


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server does not outlive this program
    with tempfile.TemporaryDirectory() as directory:
        server = RealTrino(Path(sys.argv[1]), Path(directory), port=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
        server.start()
        try:
            server.until_ready()
            sys.stdout.write(f"export XTRINODE_TEST_TRINO={server.url}\nCtrl-C ends it\n")
            sys.stdout.flush()
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()


if __name__ == "__main__":
    main()
