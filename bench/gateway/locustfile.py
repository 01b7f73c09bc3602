"""People and programs that use Trino, for Locust: against any gateway, from one's own machine.

    locust -f bench/gateway/locustfile.py --host http://gateway:8080 --runtimes team-a/analytics

Opens Locust's page on http://localhost:8089; with --headless it runs at once (see `locust --help`). Each user submits
statements, follows `nextUri` to the end, cancels some halfway, and thinks in between. Half of the users name their
runtime by header, the others by host name. A failed query, another query's page, or a cut result counts as a failure.

It needs nothing of this repository: the file can be copied anywhere. The statements' comments tell the stand-in
coordinators of `bench.gateway.load` how large a result to make; a real Trino reads the statements themselves.
"""

from __future__ import annotations

import base64
import itertools
import random
import re
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

from locust import events, task
from locust.contrib.fasthttp import FastHttpUser, FastResponse

_NEXT = re.compile(r'"nextUri":"([^"]+)"').search
_ERROR = re.compile(r'"errorName":"([^"]+)"').search
_ID = re.compile(r'"id":"([^"]+)"').search
# Trino writes everything but the rows before them, and the statistics and errors after; both ends are looked at.
_LOOKED_AT = 4096
_PREPARED = "q=" + "SELECT%20" * 900


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def options(parser: ArgumentParser) -> None:
    add: Any = parser.add_argument
    add("--runtimes", default="", help="namespace/name of runtimes, comma-separated, for the header X-Trino-XTrinode")
    add("--hostnames", default="", help="host names of runtimes, comma-separated, for the Host header")
    add("--trino-user", default="locust", help="whom the statements run as")
    add("--trino-password", default="", is_secret=True, env_var="TRINO_PASSWORD", help="sent as basic authentication")
    add("--think", type=float, default=0.5, help="seconds between one query and the next, on average")
    add("--sql-small", default="SELECT count(*) FROM tpch.tiny.orders -- polls=3 bytes=600", help="a small statement")
    add(
        "--sql-big",
        default="SELECT * FROM tpch.tiny.orders -- polls=6 bytes=262144",
        help="a statement with a big result",
    )
    add("--sql-long", default="SELECT 1 -- polls=12 bytes=600", help="a statement that takes many polls")


_turn = itertools.count()


class TrinoUser(FastHttpUser):
    """One client. Which runtime it uses, and how it names it, stays the same for its life."""

    connection_timeout = 30.0
    network_timeout = 150.0

    def on_start(self) -> None:
        parsed = self.environment.parsed_options
        number = next(_turn)
        self.query_headers = {
            "X-Trino-User": parsed.trino_user,
            "X-Trino-Source": "locust",
            "X-Trino-Time-Zone": "UTC",
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME,SESSION_AUTHORIZATION",
        }
        runtimes = [text for text in parsed.runtimes.split(",") if text]
        hostnames = [text for text in parsed.hostnames.split(",") if text]
        if hostnames and (number % 2 or not runtimes):
            self.query_headers["Host"] = hostnames[number // 2 % len(hostnames)]
        elif runtimes:
            self.query_headers["X-Trino-XTrinode"] = runtimes[number // 2 % len(runtimes)]
        if parsed.trino_password:
            pair = f"{parsed.trino_user}:{parsed.trino_password}".encode()
            self.query_headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"

    def wait_time(self) -> float:
        return random.expovariate(1 / self.environment.parsed_options.think)

    @task(70)
    def small(self) -> None:
        self.query(self.environment.parsed_options.sql_small, "small")

    @task(12)
    def big(self) -> None:
        self.query(self.environment.parsed_options.sql_big, "big")

    @task(8)
    def cancelled(self) -> None:
        self.query(self.environment.parsed_options.sql_long, "small", pages=3)

    @task(10)
    def prepared(self) -> None:
        """Prepared statements travel in a header, with every request of the session."""
        self.query(self.environment.parsed_options.sql_small, "prepared", {"X-Trino-Prepared-Statement": _PREPARED})

    def query(self, sql: str, kind: str, more: dict[str, str] | None = None, pages: int | None = None) -> None:
        """Run one statement to its end, or cancel it after `pages` polls."""
        headers = {**self.query_headers, **(more or {})}
        query, link = self.step("POST", "/v1/statement", f"submit ({kind})", headers, None, sql)
        for number in itertools.count(1):
            if link is None or query is None:
                return
            parts = urlsplit(link)
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            if number == pages:
                with self.client.request(
                    "DELETE", path, name="cancel", headers=headers, catch_response=True
                ) as response:
                    if response.status_code != 204:
                        response.failure(f"cancelling got status {response.status_code}")
                return
            phase = "queued" if "/queued/" in path else f"page ({kind})"
            query, link = self.step("GET", path, phase, headers, query, None)

    def step(
        self, method: str, path: str, name: str, headers: dict[str, str], expected: str | None, sql: str | None
    ) -> tuple[str | None, str | None]:
        """One request; the query's id and the next link, both None when it failed."""
        with self.client.request(method, path, name=name, headers=headers, data=sql, catch_response=True) as response:
            failure, query, link = judged(response, expected)
            if failure:
                response.failure(failure)
                return None, None
            return query, link


def judged(response: FastResponse, expected: str | None) -> tuple[str, str | None, str | None]:
    """What is wrong with a page (nothing: empty), whose it is, and where the next one is."""
    if response.status_code != 200:
        return f"status {response.status_code}", None, None
    text = response.text or ""
    begin, end = text[:_LOOKED_AT], text[-_LOOKED_AT:]
    found = _ID(begin)
    if found is None:
        return "no query id in the page", None, None
    if expected is not None and found[1] != expected:
        return "a page of another query", None, None
    if not end.rstrip().endswith("}"):
        return "the page is cut", None, None
    if '"error":{' in begin or '"error":{' in end:
        named = _ERROR(text)
        return f"the query failed: {named[1] if named else 'no reason given'}", None, None
    following = _NEXT(begin)
    return "", found[1], following[1] if following else None
