"""What idle client connections cost: `python -m bench.gateway.idle [--connections 5000]`. One JSON line last.

Each connection has made one request, so that it holds all that a connection ever remembers.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import tempfile
from pathlib import Path

from bench.gateway import machine
from bench.gateway.peers import nginx_command, own
from bench.gateway.processes import Process, close_all, free_port, stop_in_order
from bench.gateway.variants import Variant, add_options, chosen
from bench.gateway.workloads import upstream_config

_REQUEST = (
    b"POST /v1/statement HTTP/1.1\r\nHost: gateway:8080\r\nX-Trino-User: alice\r\nContent-Length: 8\r\n\r\nSELECT 1"
)
_WARM = 100


def allow_files(count: int) -> None:
    """As many file descriptors as `count` connections need, here and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SystemExit(f"{count} open files are needed and {hard} are allowed; raise it: ulimit -Hn {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def bytes_per_connection(build: Variant, count: int) -> float:
    """Resident bytes that one more idle connection costs the data path."""
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        upstream_port, port = free_port(), free_port()
        config = upstream_config(directory, upstream_port)
        with (
            Process(nginx_command(config, directory, "upstream"), "0", upstream_port),
            own(build).start(directory, port, upstream_port, "1") as gateway,
        ):
            connections: list[socket.socket] = []
            before = 0
            try:
                for number in range(count + _WARM):
                    if number == _WARM:
                        before = gateway.resident()
                    connection = socket.create_connection(("127.0.0.1", port))
                    connections.append(connection)
                    connection.sendall(_REQUEST)
                    if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
                        raise SystemExit(f"connection {number} got no answer: {gateway.errors()}")
                return (gateway.resident() - before) / count
            finally:
                close_all(connections)


def main() -> None:
    stop_in_order()
    parser = argparse.ArgumentParser(prog="python -m bench.gateway.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=5000, help="how many (default 5000)")
    add_options(parser)
    options = parser.parse_args()
    build, about = chosen(options), machine.record()
    allow_files(2 * options.connections + 1000)
    each = bytes_per_connection(build, options.connections)
    print(f"{options.connections} idle connections, {build.name}: {each / 1024:.1f} KiB each")
    metrics = {f"idle.{build.name}.bytes_per_connection": round(each)}
    print(json.dumps({"bench": "gateway.idle", "machine": about, "metrics": metrics}))


if __name__ == "__main__":
    main()
