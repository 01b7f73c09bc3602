"""What idle client connections cost: `python -m bench.gateway.idle [N]`. One JSON line last.

Each connection has made one request, so that it holds all that a connection ever remembers.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import tempfile
from pathlib import Path

from bench.gateway.peers import Process, free_port, nginx_command, peers
from bench.gateway.workloads import upstream_config

_REQUEST = (
    b"POST /v1/statement HTTP/1.1\r\nHost: gateway:8080\r\nX-Trino-User: alice\r\nContent-Length: 8\r\n\r\nSELECT 1"
)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * count + 1000), hard))
    with tempfile.TemporaryDirectory(prefix="xtrinode-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        upstream_port, port = free_port(), free_port()
        config = upstream_config(directory, upstream_port)
        upstream = Process(nginx_command(config, directory, "upstream"), 0, upstream_port)
        (pure,) = [peer for peer in peers(None) if peer.name == "pure"]
        gateway = Process(pure.command(directory, port, upstream_port), 1, port, pure.environment)
        connections = []
        try:
            before = 0
            for number in range(count + 100):
                if number == 100:
                    before = gateway.resident()  # warm
                connection = socket.create_connection(("127.0.0.1", port))
                connection.sendall(_REQUEST)
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")
                connections.append(connection)
            each = (gateway.resident() - before) / count
        finally:
            for connection in connections:
                connection.close()
            gateway.stop()
            upstream.stop()
    print(f"{count} idle connections: {each / 1024:.1f} KiB each")
    print(json.dumps({"bench": "gateway.idle", "metrics": {"idle.bytes_per_connection": round(each)}}))


if __name__ == "__main__":
    main()
