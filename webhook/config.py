"""Every setting of the webhook, stated once: flags, environment variables and `--help` derive from here."""

from __future__ import annotations

from dataclasses import dataclass

from crds.process.settings import Program, count, duration, host_port, one_of, setting

PROGRAM = Program(
    "xtrinode-webhook",
    """\
Judges XTrinode and XTrinodeCatalog objects at admission: fills in defaults, refuses what cannot work or is not
permitted, and warns about edits that restart pods.

It makes and renews its own certificate (a Secret in --namespace) and registers itself with the API server.
""",
    """\
examples:
  xtrinode-webhook --kubeconfig ~/.kube/config --address 127.0.0.1:9443 --url https://127.0.0.1:9443
  xtrinode-webhook --address 0.0.0.0:9443 --service xtrinode-webhook        (in the cluster, behind its Service)

exit codes: 0 stopped by SIGTERM or SIGINT; 1 could not start (the last line says why and what to do); 2 wrong flags.
""",
)


def _url(text: str) -> str:
    if not text.startswith("https://") or "/" in text.removeprefix("https://").rstrip("/"):
        raise ValueError("write https://HOST:PORT; the API server calls webhooks over TLS only")
    return text


@dataclass(frozen=True, slots=True)
class Settings:
    kubeconfig: str | None = setting(
        None, str, "FILE", "kubeconfig to connect with; without it: KUBECONFIG, ~/.kube/config, the pod's account"
    )
    context: str | None = setting(None, str, "NAME", "context of the kubeconfig; without it its current one")
    namespace: str = setting("xtrinode-system", str, "NAMESPACE", "namespace of the Service and the certificate Secret")
    service: str = setting("xtrinode-webhook", str, "NAME", "Service through which the API server calls")
    service_port: int = setting(443, count(1, 65535), "PORT", "port of that Service")
    url: str | None = setting(
        None, _url, "URL", "call by URL instead of through the Service: for an API server that runs beside"
    )
    secret: str = setting("xtrinode-webhook-tls", str, "NAME", "Secret with CA and certificate")
    address: str = setting("127.0.0.1:9443", host_port, "HOST:PORT", "where the API server connects")
    management_address: str = setting(
        "127.0.0.1:0", host_port, "HOST:PORT", "where /livez, /readyz and /metrics are served; port 0: any free one"
    )
    timeout_seconds: int = setting(5, count(1, 30), "SECONDS", "how long the API server waits for an answer")
    certificate_check: float = duration("10m", "how often certificate and registration are checked")
    log_format: str = setting("text", one_of("text", "json"), "text|json", "one line per record on stderr")
    log_level: str = setting(
        "info", one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
    )
