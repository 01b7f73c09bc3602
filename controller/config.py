"""Every setting of the controller, stated once; flags, environment variables and `--help` derive from it.

Read by the wiring only: inner parts get plain values. Durations are kept as seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

from crds.process.settings import Program, count, duration, host_port, one_of, setting, truth

PROGRAM = Program(
    name="xtrinode-controller",
    description="""\
Keeps every XTrinode true: reads the declared runtimes and catalogs, applies what they need
(ServiceAccount, ConfigMaps, Services, Deployments, disruption budgets), suspends and resumes them,
and publishes where the gateway may send queries.

It talks to the Kubernetes API server named by --kubeconfig, or as its ServiceAccount inside a pod.
Several copies may run: one leads (a Lease in --namespace), the others wait.
""",
    epilog="""\
examples:
  xtrinode-controller --kubeconfig ~/.kube/config --no-leader-elect
  XTRINODE_LOG_FORMAT=json xtrinode-controller --gateway-namespace trino-gateway

exit codes: 0 stopped by SIGTERM or SIGINT; 1 could not start or lost the leader lease (the last line
says which; a supervisor or Kubernetes starts it again); 2 wrong flags.
""",
)


def _proxy(text: str) -> str:
    if not text.startswith("http://") or not text.removeprefix("http://").strip("/"):
        raise ValueError("write http://HOST:PORT")
    return text


@dataclass(frozen=True, slots=True)
class Settings:
    kubeconfig: str | None = setting(
        None,
        str,
        "FILE",
        "kubeconfig to connect with; without it: KUBECONFIG, ~/.kube/config, the pod's account",
    )
    context: str | None = setting(None, str, "NAME", "context of the kubeconfig; without it its current one")
    namespace: str = setting("xtrinode-system", str, "NAMESPACE", "namespace of the leader Lease")
    gateway_namespace: str = setting(
        "xtrinode-gateway", str, "NAMESPACE", "namespace that the routes ConfigMap is written to"
    )
    management_address: str = setting(
        "127.0.0.1:0", host_port, "HOST:PORT", "where /livez, /readyz and /metrics are served; port 0: any free one"
    )
    identity: str | None = setting(
        None, str, "NAME", "name in the leader Lease; without it the host name and a random part"
    )
    leader_elect: bool = setting(
        True, truth, "", "wait for the leader Lease before acting; off only where a single copy ever runs"
    )
    workers: int = setting(32, count(1, 1000), "N", "runtimes reconciled at the same time")
    catalog_workers: int = setting(4, count(1, 1000), "N", "catalogs reconciled at the same time")
    auto_suspend: bool = setting(True, truth, "", "suspend runtimes that were idle for their spec.autoSuspendAfter")
    resync: float = duration("10m", "how often everything is looked at again without an event")
    event_delay: float = duration("50ms", "how long events of one runtime are gathered before it is looked at")
    route_delay: float = duration("50ms", "how long route changes are gathered before the table is written")
    route_settle: float = duration(
        "1s", "how long a route must be published as paused before a drain believes that no query comes"
    )
    drain_poll: float = duration("5s", "how often a draining coordinator is asked for its live queries")
    trino_timeout: float = duration("5s", "how long one request to a coordinator may take")
    trino_proxy: str | None = setting(
        None,
        _proxy,
        "URL",
        "HTTP proxy through which coordinators are asked: for a controller that runs outside of the pod network. "
        "HTTP_PROXY is not used: it is rarely meant for pods, and passwords travel here",
    )
    max_retry_delay: float = duration("5m", "longest wait before a failing runtime is tried again")
    shutdown_timeout: float = duration("20s", "how long work in progress may take after SIGTERM")
    log_format: str = setting("text", one_of("text", "json"), "text|json", "one line per record on stderr")
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
    )
