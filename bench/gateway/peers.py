"""The proxies under test, each started as a process of its own, pinned to a core, before the same upstream."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Peer:
    """`command(directory, port, upstream_port)` writes what the proxy needs and says how to start it."""

    name: str
    command: Callable[[Path, int, int], list[str]]
    environment: dict[str, str]


class Process:
    """A started server; its CPU and memory by the kernel's accounts."""

    def __init__(self, command: list[str], core: int, port: int, environment: dict[str, str] | None = None) -> None:
        self.port = port
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            cwd=ROOT if environment is None or "PYTHONPATH" not in environment else environment["PYTHONPATH"],
        )
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise SystemExit(f"{command[0]} did not come up on port {port}: {self.errors()}") from None
                time.sleep(0.05)

    def errors(self) -> str:
        """The last of what it wrote to stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-2000:]

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu_ns(self) -> int:
        """CPU time of all its threads, user and system, in nanoseconds."""
        tasks = Path(f"/proc/{self._process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())

    def resident(self) -> int:
        """Resident bytes now."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nginx_command(config: str, directory: Path, name: str) -> list[str]:
    path = directory / f"{name}.conf"
    path.write_text(config)
    return ["nginx", "-p", str(directory), "-c", str(path)]


def _nginx(buffers: str) -> Callable[[Path, int, int], list[str]]:
    def command(directory: Path, port: int, upstream: int) -> list[str]:
        config = f"""
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600;
  large_client_header_buffers 4 64k; {buffers}
  client_body_temp_path {directory}/nb; proxy_temp_path {directory}/np; fastcgi_temp_path {directory}/nf;
  uwsgi_temp_path {directory}/nu; scgi_temp_path {directory}/ns;
  upstream one {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  map $http_x_trino_xtrinode $pool {{ default one; "team/one" one; "team/two" one; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://$pool; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
    }}
  }}
}}
"""
        return nginx_command(config, directory, f"nginx-{port}")

    return command


def _haproxy(directory: Path, port: int, upstream: int) -> list[str]:
    path = directory / "haproxy.cfg"
    path.write_text(f"""
global
  maxconn 8192
  nbthread 1
  tune.bufsize 65536
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option http-keep-alive
  http-reuse always
frontend in
  bind 127.0.0.1:{port} backlog 4096
  use_backend one if {{ req.hdr(x-trino-xtrinode) -m str team/one }}
  default_backend one
backend one
  option forwardfor
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Port %[dst_port]
  server s1 127.0.0.1:{upstream} pool-max-conn -1
""")
    return ["haproxy", "-db", "-f", str(path)]


def _aiohttp(directory: Path, port: int, upstream: int) -> list[str]:
    return [sys.executable, "-m", "bench.gateway.aiohttp_proxy", str(port), str(upstream)]


def _ours(directory: Path, port: int, upstream: int) -> list[str]:
    coordinators = ["--coordinator", f"team/one=abcde@127.0.0.1:{upstream}"]
    return [sys.executable, "-m", "gateway.proxy", "--address", f"127.0.0.1:{port}", *coordinators]


TUNED = "proxy_buffer_size 64k; proxy_buffers 16 64k; proxy_busy_buffers_size 256k;"


def peers(compiled: Path | None) -> list[Peer]:
    """nginx first: it is what the others are compared with."""
    found = [
        Peer("nginx", _nginx(""), {}),
        Peer("nginx_tuned", _nginx(TUNED), {}),
        Peer("haproxy", _haproxy, {}),
        Peer("aiohttp", _aiohttp, {}),
        Peer("pure", _ours, {}),
    ]
    if compiled is not None:
        found.append(Peer("compiled", _ours, {"PYTHONPATH": str(compiled)}))
    return found
