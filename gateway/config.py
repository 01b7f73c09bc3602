"""Every setting of the gateway, stated once: flags, environment variables and `--help` derive from here.

Read by the wiring only; inner parts get plain values. Seconds unless said otherwise.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from crds.process.settings import Program, count, duration, host_port, one_of, setting, truth

PROGRAM = Program(
    "xtrinode-gateway",
    """\
The one SQL entry point for every Trino runtime: routes each statement by host name, by the header
X-Trino-XTrinode or to the default route, keeps a query on the coordinator that made it, and passes
Trino's protocol through byte for byte.

Routes come from the ConfigMaps labelled xtrinode.io/routes=true in --namespace, watched, and kept on
disk so that a restart without the Kubernetes API still routes.
""",
    """\
examples:
  xtrinode-gateway --address 0.0.0.0:8080 --management-address 0.0.0.0:9090 --workers 2
  xtrinode-gateway --tls-cert tls.crt --tls-key tls.key --drain-delay 5s --state-dir /var/lib/xtrinode
  kill -HUP PID    loads routes and certificate again

exit codes: 0 stopped by SIGTERM or SIGINT; 1 could not start (the last line says why and what to do); 2 wrong flags.
""",
)


def _networks(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in found:
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError as error:
            raise ValueError(f"write networks like 10.0.0.0/8,fd00::/8 ({error})") from error
    return found


def _bytes(text: str) -> int:
    units = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    number, unit = text[:-1], units.get(text[-1:].lower())
    if unit is None:
        number, unit = text, 1
    if not number.isdigit():
        raise ValueError("write a number of bytes like 2097152, 512k or 2m")
    return int(number) * unit


@dataclass(frozen=True, slots=True)
class Settings:
    kubeconfig: str | None = setting(
        None, str, "FILE", "kubeconfig to connect with; without it: KUBECONFIG, ~/.kube/config, the pod's account"
    )
    context: str | None = setting(None, str, "NAME", "context of the kubeconfig; without it its current one")
    namespace: str = setting("xtrinode-gateway", str, "NAMESPACE", "namespace of the routes ConfigMaps")
    cluster_domain: str = setting(
        "cluster.local", str, "DOMAIN", "hosts below svc.<domain> are resolved through EndpointSlices, others by DNS"
    )
    address: str = setting("127.0.0.1:8080", host_port, "HOST:PORT", "where SQL clients connect")
    management_address: str = setting(
        "127.0.0.1:9090", host_port, "HOST:PORT", "where /livez, /readyz, /metrics and the status page are served"
    )
    workers: int = setting(1, count(1, 64), "N", "worker processes that share the address, one per core")
    state_dir: str | None = setting(
        None, str, "DIR", "where the last good routes are kept; without it a restart needs the Kubernetes API"
    )
    tls_cert: str | None = setting(None, str, "FILE", "certificate chain in PEM; with it the address speaks TLS")
    tls_key: str | None = setting(None, str, "FILE", "private key in PEM of --tls-cert")
    trusted_proxies: tuple[str, ...] = setting(
        (),
        _networks,
        "NETWORKS",
        "peers whose X-Forwarded-* headers are believed, like 10.0.0.0/8; others' are replaced",
    )
    max_head_size: int = setting(
        2 << 20, _bytes, "BYTES", "largest request or response head; prepared statements travel in headers"
    )
    idle_timeout: float = duration(
        "6m", "a client connection without a request is closed after this; longer than clients pool theirs"
    )
    header_timeout: float = duration("10s", "a request head must be complete within this")
    upstream_connect_timeout: float = duration("3s", "a coordinator must accept a connection within this")
    upstream_response_timeout: float = duration(
        "2m", "a coordinator must begin its response within this; it holds polls for about a second"
    )
    upstream_idle_timeout: float = duration("20s", "an unused connection to a coordinator is closed after this")
    probe_interval: float = duration("5s", "how often each coordinator is asked for its health")
    probe_timeout: float = duration("2s", "a health probe must be answered within this")
    express: bool = setting(
        True, truth, "", "serve plain TCP through the compiled transports, where the wheel was built with them"
    )
    drain_delay: float = duration(
        "0s",
        "how long to go on serving after SIGTERM while not ready; in Kubernetes longer than endpoints take to move",
    )
    drain_timeout: float = duration("30s", "how long requests in flight may take after SIGTERM")
    log_format: str = setting("text", one_of("text", "json"), "text|json", "one line per record on stderr")
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
    )
