"""What is asked of every proxy: request mixes for wrk, and the upstream that answers them.

A request carries what a Trino client sends. Polls name 100 different queries; the upstream answers with the query's
own id and a number of varying length, so that neither side can live off one remembered message.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

QUERY = "20261120_101010_%05d_abcde"
SLUG = "y0123456789abcdef0123456789abcdef01234567"
SIZES = {"page64k": 64 * 1024, "page1m": 1024 * 1024, "page4m": 4 * 1024 * 1024}


@dataclass(frozen=True)
class Workload:
    """One mix. `lua` is the body of wrk's script, after the common part."""

    name: str
    connections: int
    lua: str
    what: str


_COMMON = """
local headers = {
  ["X-Trino-User"] = "alice", ["X-Trino-Source"] = "bench", ["X-Trino-Catalog"] = "tpch",
  ["X-Trino-Schema"] = "tiny", ["X-Trino-XTrinode"] = "team/one", ["X-Trino-Time-Zone"] = "UTC",
  ["X-Trino-Client-Capabilities"] = "PARAMETRIC_DATETIME,SESSION_AUTHORIZATION",
  ["User-Agent"] = "trino-python-client/0.339.0", ["Accept-Encoding"] = "gzip, deflate", ["Accept"] = "*/*",
  ["Connection"] = "keep-alive"
}
local function poll(i, last)
  return string.format("/v1/statement/executing/" .. "%QUERY%" .. "/%SLUG%/%s", i, last or i * i)
end
local reqs = {}
local n = 0
""".replace("%QUERY%", QUERY.replace("%", "%%").replace("%%05d", "%05d")).replace("%SLUG%", SLUG)

_POLLS = """
function init(args)
  for i = 1, 100 do reqs[i] = wrk.format("GET", poll(i), headers) end
end
function request() n = n % 100 + 1; return reqs[n] end
"""
_MIX = """
function init(args)
  for i = 1, 100 do reqs[i] = wrk.format("GET", poll(i), headers) end
  for i = 5, 100, 5 do reqs[i] = wrk.format("POST", "/v1/statement", headers, "SELECT * FROM t WHERE n = " .. i) end
end
function request() n = n % 100 + 1; return reqs[n] end
"""
_POSTS = """
function init(args)
  for i = 1, 100 do reqs[i] = wrk.format("POST", "/v1/statement", headers, "SELECT * FROM t WHERE n = " .. i) end
end
function request() n = n % 100 + 1; return reqs[n] end
"""
_PACKED = """
function init(args)
  for i = 2, 20 do reqs[i] = wrk.format("GET", poll(1, "packed"), headers) end
  reqs[1] = wrk.format("POST", "/v1/statement", headers, "SELECT 1")
end
function request() n = n % 20 + 1; return reqs[n] end -- the statement first: its query is known when it is polled
"""
_UNIQUE = """
function init(args)
  for i = 1, 100 do reqs[i] = wrk.format("GET", poll(i), headers):sub(1, -3) end
end
function request() n = n + 1; return reqs[n % 100 + 1] .. "X-Trino-Trace-Token: t" .. n .. "\\r\\n\\r\\n" end
"""
_PAGE = """
function init(args)
  for i = 1, 100 do reqs[i] = wrk.format("GET", poll(i, "%s"), headers) end
end
function request() n = n %% 100 + 1; return reqs[n] end
"""
_LARGE_HEADS = """
function init(args)
  headers["X-Trino-Prepared-Statement"] = "q=" .. string.rep("SELECT%20", 1100)
  for i = 1, 100 do reqs[i] = wrk.format("GET", poll(i), headers) end
end
function request() n = n % 100 + 1; return reqs[n] end
"""

WORKLOADS = (
    Workload("polls", 32, _POLLS, "small polls of running queries"),
    Workload("mix", 32, _MIX, "one new statement to four polls"),
    Workload("packed", 32, _PACKED, "polls whose pages are compressed, with a new statement to nineteen of them"),
    Workload("posts", 32, _POSTS, "new statements only"),
    Workload("unique", 32, _UNIQUE, "polls, with a header that differs in every request"),
    Workload("heads10k", 32, _LARGE_HEADS, "polls with 10 KB of headers"),
    Workload("page64k", 32, _PAGE % "page64k", "result pages of 64 KiB"),
    Workload("page1m", 16, _PAGE % "page1m", "result pages of 1 MiB"),
    Workload("page4m", 8, _PAGE % "page4m", "result pages of 4 MiB"),
    Workload("chunked1m", 16, _PAGE % "chunked1m", "result pages of 1 MiB in chunks of 32 KiB, as Trino sends them"),
    Workload("conns1000", 1000, _POLLS, "small polls over 1,000 connections"),
)


def poll_request(number: int) -> bytes:
    """The poll that wrk sends as number `number`, for clients of our own."""
    return (
        f"GET /v1/statement/executing/{QUERY % number}/{SLUG}/{number * number} HTTP/1.1\r\nHost: gateway\r\n"
        "X-Trino-User: alice\r\nX-Trino-Source: bench\r\nX-Trino-Catalog: tpch\r\nX-Trino-Schema: tiny\r\n"
        "X-Trino-XTrinode: team/one\r\nX-Trino-Time-Zone: UTC\r\n"
        "X-Trino-Client-Capabilities: PARAMETRIC_DATETIME,SESSION_AUTHORIZATION\r\n"
        "User-Agent: trino-python-client/0.339.0\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n\r\n"
    ).encode()


def script(workload: Workload, directory: Path) -> Path:
    """The workload's wrk script, written to `directory`."""
    path = directory / f"{workload.name}.lua"
    path.write_text(_COMMON + workload.lua)
    return path


def _page(more: str, state: str) -> str:
    stats = (
        f'"stats":{{"state":"{state}","queued":false,"scheduled":true,"nodes":3,"totalSplits":100,"queuedSplits":10,'
        '"runningSplits":20,"completedSplits":70,"cpuTimeMillis":1234,"wallTimeMillis":2345,"queuedTimeMillis":12,'
        '"elapsedTimeMillis":3456,"processedRows":123456,"processedBytes":12345678,"peakMemoryBytes":1234567}'
    )
    return (
        '{"id":"$2","infoUri":"http://127.0.0.1:8080/ui/query.html?$2",'
        f'"nextUri":"http://127.0.0.1:8080/v1/statement/executing/$2/{SLUG}/{more}",{stats},"warnings":[]}}'
    )


def upstream_config(directory: Path, port: int) -> str:
    """nginx as a coordinator that answers at once."""
    for name, size in SIZES.items():
        head = (
            b'{"id":"20261120_101010_00001_abcde","infoUri":"http://h/","nextUri":"http://h/n","columns":[],"data":["'
        )
        (directory / name).write_bytes(head + b"x" * (size - len(head) - 3) + b'"]}')
    (directory / "packed").write_bytes(gzip.compress(_page("1", "RUNNING").replace("$2", QUERY % 1).encode(), mtime=0))
    submitted = _page("1", "QUEUED").replace("$2", QUERY % 1)
    return f"""
daemon off; master_process off; pid {directory}/upstream.pid; error_log {directory}/upstream.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600; sendfile on;
  large_client_header_buffers 4 64k; default_type application/json;
  client_body_temp_path {directory}/ub; proxy_temp_path {directory}/up; fastcgi_temp_path {directory}/uf;
  uwsgi_temp_path {directory}/uu; scgi_temp_path {directory}/us;
  server {{
    listen 127.0.0.1:{port} backlog=4096; root {directory};
    location ~ ^/v1/statement/executing/[^/]+/[^/]+/(page[0-9a-z]+)$ {{ try_files /$1 =404; }}
    location ~ ^/v1/statement/executing/[^/]+/[^/]+/chunked1m$ {{
      # What may be replaced has no length that is known beforehand; nothing is.
      try_files /page1m =404; sendfile off; output_buffers 4 32k; sub_filter_types *; sub_filter "\n" "\n";
    }}
    location ~ ^/v1/statement/executing/[^/]+/[^/]+/packed$ {{
      try_files /packed =404; sendfile off; add_header Content-Encoding gzip;
    }}
    location ~ ^/v1/statement/(queued|executing)/([^/]+)/[^/]+/([0-9]+)$ {{
      add_header X-Content-Type-Options nosniff; return 200 '{_page("$3", "RUNNING")}';
    }}
    location = /v1/statement {{ return 200 '{submitted}'; }}
  }}
}}
"""
