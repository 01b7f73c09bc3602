"""`python -m sandbox.trino.health`: is the server up and past its start?

What /usr/lib/trino/bin/health-check does in the image: asks /v1/info within five seconds and looks at
`starting`. The sandbox's kubelet maps the image's exec probe to it. Standard library only, so that a
probe costs tens of milliseconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request

_TIMEOUT = 5.0
_DEFAULT_PORT = 8080


def is_healthy(url: str, timeout: float = _TIMEOUT) -> bool:
    """True when the server answers and has started; never raises for a server that does not."""
    if not url.startswith(("http://", "https://")):
        return False
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/v1/info", timeout=timeout) as response:
            document = json.load(response)
    except (OSError, ValueError, urllib.error.URLError):
        return False
    return isinstance(document, dict) and document.get("starting") is False


def _port_of(etc: str) -> int:
    """http-server.http.port of config.properties; the plain reader suffices for a number."""
    try:
        with open(f"{etc}/config.properties", encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs start-up
            for line in file:
                key, _, value = line.partition("=")
                if key.strip() == "http-server.http.port":
                    return int(value.strip())
    except (OSError, ValueError):
        pass
    return _DEFAULT_PORT


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.trino.health", description=__doc__)
    parser.add_argument("--url", help="base address; default: built from --address and the configured port")
    parser.add_argument("--address", default="127.0.0.1", help="the pod's address (default %(default)s)")
    parser.add_argument("--etc-dir", default="/etc/trino", help="where config.properties is (default %(default)s)")
    parser.add_argument("--timeout", type=float, default=_TIMEOUT, help="seconds (default %(default)s)")
    options = parser.parse_args(arguments)
    url = options.url or f"http://{options.address}:{_port_of(options.etc_dir)}"
    return 0 if is_healthy(url, options.timeout) else 1


if __name__ == "__main__":
    sys.exit(main())
