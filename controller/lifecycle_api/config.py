"""Every setting of the lifecycle API, stated once: flags, environment variables and `--help` derive from here."""

from __future__ import annotations

from dataclasses import dataclass

from crds.process.settings import Program, duration, host_port, one_of, setting

PROGRAM = Program(
    "xtrinode-api",
    """\
Lifecycle of runtimes over HTTP: list, status, resume, suspend.

  GET  /api/v1/runtimes[?namespace=NS]         POST /api/v1/runtimes/NS/NAME/resume
  GET  /api/v1/runtimes/NS/NAME                POST /api/v1/runtimes/NS/NAME/suspend
  GET  /api/v1/runtimes/NS/NAME/status         POST /api/v1/resume        {"routingGroup": ..., "candidate": ...}

Callers send a Kubernetes token (Authorization: Bearer ...) and need RBAC: get or list on xtrinodes, update on
xtrinodes/resume or xtrinodes/suspend.
""",
    """\
examples:
  xtrinode-api --kubeconfig ~/.kube/config --address 127.0.0.1:8081
  curl -H "Authorization: Bearer $(kubectl create token gateway)" -X POST localhost:8081/api/v1/runtimes/a/b/resume

exit codes: 0 stopped by SIGTERM or SIGINT; 1 could not start (the last line says why and what to do); 2 wrong flags.
""",
)


@dataclass(frozen=True, slots=True)
class Settings:
    kubeconfig: str | None = setting(
        None, str, "FILE", "kubeconfig to connect with; without it: KUBECONFIG, ~/.kube/config, the pod's account"
    )
    context: str | None = setting(None, str, "NAME", "context of the kubeconfig; without it its current one")
    namespace: str = setting("xtrinode-system", str, "NAMESPACE", "namespace of the Leases")
    address: str = setting("127.0.0.1:8081", host_port, "HOST:PORT", "where callers connect")
    management_address: str = setting(
        "127.0.0.1:0", host_port, "HOST:PORT", "where /livez, /readyz and /metrics are served; port 0: any free one"
    )
    identity: str | None = setting(None, str, "NAME", "holder name in Leases; default: host name and a random part")
    lease: float = duration("10s", "how long one caller's write keeps others of the same runtime from writing too")
    log_format: str = setting("text", one_of("text", "json"), "text|json", "one line per record on stderr")
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
    )
