"""The proxies under test, each started as a process of its own, pinned to a core, before the same upstream."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.processes import Process
from bench.gateway.variants import NAMES, Missing, Variant, variant


@dataclass(frozen=True)
class Peer:
    """`command(directory, port, upstream_port)` writes what the proxy needs and says how to start it."""

    name: str
    command: Callable[[Path, int, int], list[str]]
    build: Variant | None = None  # which of our own it is; None for the others

    def start(self, directory: Path, port: int, upstream: int, core: str) -> Process:
        """The running proxy; for our own, sure to be the build that the name says."""
        command = self.command(directory, port, upstream)
        if self.build is None:
            return Process(command, core, port)
        process = Process(command, core, port, self.build.environment, self.build.root)
        try:
            self.build.check(process.pid)
        except SystemExit:
            process.stop()
            raise
        return process


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


def own(build: Variant) -> Peer:
    """Our data path in one of its builds."""
    return Peer(build.name, _ours, build)


def peers(compiled: Path | None) -> tuple[list[Peer], list[str]]:
    """All of them, nginx first, because it is what the others are compared with; and why some are left out."""
    found = [
        Peer("nginx", _nginx("")),
        Peer("nginx_tuned", _nginx(TUNED)),
        Peer("haproxy", _haproxy),
        Peer("aiohttp", _aiohttp),
    ]
    left_out = []
    for name in NAMES:
        try:
            found.append(own(variant(name, compiled)))
        except Missing as error:
            left_out.append(f"{name} is left out: {error}")
    return found, left_out
