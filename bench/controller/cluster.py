"""What the benchmark asks of a cluster: kubectl for what happens once, plain HTTPS for what happens very often."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PATH = "/apis/analytics.xtrinode.io/v1"
_CREATORS = 8


class Cluster:
    """`kubeconfig` is an administrator's, with certificate files."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        config = yaml.safe_load(kubeconfig.read_text())
        server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._place = urlsplit(server["server"])
        self._tls = ssl.create_default_context(cafile=server["certificate-authority"])
        self._tls.load_cert_chain(user["client-certificate"], user["client-key"])
        self._cache = tempfile.mkdtemp(prefix="kubectl-cache-", dir=kubeconfig.parent)

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self._cache}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def version(self) -> str:
        return str(self._get("/version")["gitVersion"])

    def create_all(self, objects: list[dict[str, Any]]) -> None:
        """Creates XTrinodes over a few connections at a time."""
        failures: list[str] = []

        def create(share: list[dict[str, Any]]) -> None:
            connection = self._connect()
            for obj in share:
                path = f"{PATH}/namespaces/{obj['metadata']['namespace']}/xtrinodes"
                connection.request("POST", path, json.dumps(obj), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 201:
                    failures.append(body.decode())
            connection.close()

        threads = [threading.Thread(target=create, args=(objects[n::_CREATORS],)) for n in range(_CREATORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise SystemExit(f"{len(failures)} runtimes were not created; the first: {failures[0]}")

    def until_ready(self, count: int, began: float, limit: float) -> tuple[float, float]:
        """Seconds since `began` until half and until all of `count` runtimes were Ready."""
        ready: set[tuple[str, str]] = set()
        half = 0.0
        for obj in self._watch(began + limit):
            key = (obj["metadata"]["namespace"], obj["metadata"]["name"])
            if (obj.get("status") or {}).get("phase") == "Ready":
                ready.add(key)
            else:
                ready.discard(key)
            now = time.monotonic() - began
            if not half and len(ready) * 2 >= count:
                half = now
            if len(ready) == count:
                return half, now
            if now > limit:
                break
        raise SystemExit(f"only {len(ready)} of {count} runtimes are Ready after {limit:g} s")

    def _watch(self, until: float) -> Iterator[dict[str, Any]]:
        while time.monotonic() < until:
            listed = self._get(f"{PATH}/xtrinodes")
            yield from listed["items"]
            version = listed["metadata"]["resourceVersion"]
            connection = self._connect()
            connection.request("GET", f"{PATH}/xtrinodes?watch=true&resourceVersion={version}&timeoutSeconds=60")
            answer = connection.getresponse()
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    break
                yield event["object"]
            connection.close()

    def _get(self, path: str) -> dict[str, Any]:
        connection = self._connect()
        connection.request("GET", path)
        body: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return body

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._place.hostname or "127.0.0.1", self._place.port, context=self._tls, timeout=120
        )
