"""Every setting of the controller, stated once: flags, environment variables and `--help` derive from here.

`Settings` is read by the wiring only; inner parts get plain values. A flag `--drain-poll` has the
environment twin `XTRINODE_DRAIN_POLL`; the flag wins. Durations are written as Go and Kubernetes write
them (`90s`, `5m`, `1h30m`) and kept as seconds. Nothing here reads a file or opens a socket.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from crds.v1.quantity import parse_duration

_DESCRIPTION = """\
Keeps every XTrinode true: reads the declared runtimes and catalogs, applies what they need
(ServiceAccount, ConfigMaps, Services, Deployments, disruption budgets), suspends and resumes them,
and publishes where the gateway may send queries.

It talks to the Kubernetes API server named by --kubeconfig, or as its ServiceAccount inside a pod.
Several copies may run: one leads (a Lease in --namespace), the others wait.
"""

_EPILOG = """\
examples:
  xtrinode-controller --kubeconfig ~/.kube/config --no-leader-elect
  XTRINODE_LOG_FORMAT=json xtrinode-controller --gateway-namespace trino-gateway

exit codes: 0 stopped by SIGTERM or SIGINT; 1 could not start (the last line says why and what to do);
2 wrong flags; 3 lost the leader lease (restart it: a supervisor or Kubernetes does).
"""


class SettingsError(ValueError):
    """A flag or environment variable whose value cannot be used; says which and what to type."""


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()


def _truth(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError("write true or false")


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise ValueError("write a number from 1 to 1000")
    return value


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535 or not host.strip("[]"):
        raise ValueError("write HOST:PORT, for example 127.0.0.1:8080; port 0 lets the kernel choose")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return text

    return parse


def _setting(default: Any, parse: Callable[[str], Any], metavar: str, explain: str) -> Any:
    return dataclasses.field(
        default=default, metadata={"parse": parse, "metavar": metavar, "help": explain, "text": default}
    )


def _duration(default: str, explain: str) -> Any:
    return dataclasses.field(
        default=_seconds(default),
        metadata={"parse": _seconds, "metavar": "DURATION", "help": explain, "text": default},
    )


@dataclass(frozen=True, slots=True)
class Settings:
    kubeconfig: str | None = _setting(
        None, str, "FILE", "kubeconfig to connect with; without it: KUBECONFIG, ~/.kube/config, the pod's account"
    )
    context: str | None = _setting(None, str, "NAME", "context of the kubeconfig; without it its current one")
    namespace: str = _setting(
        "xtrinode-system", str, "NAMESPACE", "namespace of the leader Lease and of this controller"
    )
    gateway_namespace: str = _setting(
        "xtrinode-gateway", str, "NAMESPACE", "namespace that the routes ConfigMap is written to"
    )
    cluster_domain: str = _setting(
        "cluster.local", str, "DOMAIN", "DNS domain of the cluster, used in coordinator addresses"
    )
    management_address: str = _setting(
        "127.0.0.1:0", _address, "HOST:PORT", "where /livez, /readyz and /metrics are served; port 0: any free one"
    )
    identity: str | None = _setting(
        None, str, "NAME", "name in the leader Lease; without it the host name and a random part"
    )
    leader_elect: bool = _setting(
        True, _truth, "", "wait for the leader Lease before acting; off only where a single copy ever runs"
    )
    workers: int = _setting(16, _count, "N", "runtimes reconciled at the same time")
    catalog_workers: int = _setting(4, _count, "N", "catalogs reconciled at the same time")
    auto_suspend: bool = _setting(True, _truth, "", "suspend runtimes that were idle for their spec.autoSuspendAfter")
    resync: float = _duration("10m", "how often everything is looked at again without an event")
    event_delay: float = _duration("50ms", "how long events of one runtime are gathered before it is looked at")
    route_delay: float = _duration("50ms", "how long route changes are gathered before the table is written")
    route_settle: float = _duration(
        "1s", "how long a route must be published as paused before a drain believes that no query comes"
    )
    drain_poll: float = _duration("5s", "how often a draining coordinator is asked for its live queries")
    trino_timeout: float = _duration("5s", "how long one request to a coordinator may take")
    max_retry_delay: float = _duration("5m", "longest wait before a failing runtime is tried again")
    shutdown_timeout: float = _duration("20s", "how long work in progress may take after SIGTERM")
    log_format: str = _setting("text", _one_of("text", "json"), "text|json", "one line per record on stderr")
    log_level: str = _setting(
        "info", _one_of("debug", "info", "warning", "error"), "LEVEL", "debug, info, warning or error"
    )


def flag_of(name: str) -> str:
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    return "XTRINODE_" + name.upper()


def parse_settings(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> Settings:
    """Flags over environment over defaults. Raises SettingsError; `--help` exits as argparse does."""
    environ = os.environ if environ is None else environ
    given = vars(_parser().parse_args(argv))
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(Settings):
        for source, text in (
            (flag_of(spec.name), given[spec.name]),
            (variable_of(spec.name), environ.get(variable_of(spec.name)) or None),
        ):
            if text is None:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                raise SettingsError(f"{source} cannot be {text!r}: {error}") from error
            break
    return Settings(**values)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}; xtrinode-controller --help lists the flags")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="xtrinode-controller",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for spec in dataclasses.fields(Settings):
        default = spec.metadata["text"]
        explain = f"{spec.metadata['help']} [{variable_of(spec.name)}"
        explain += (
            "]" if default is None else f"; default {str(default).lower() if default in (True, False) else default}]"
        )
        if spec.metadata["parse"] is _truth:
            parser.add_argument(
                flag_of(spec.name), dest=spec.name, action="store_const", const="true", default=None, help=explain
            )
            parser.add_argument(
                "--no-" + flag_of(spec.name)[2:],
                dest=spec.name,
                action="store_const",
                const="false",
                help=argparse.SUPPRESS if default is False else f"the opposite of {flag_of(spec.name)}",
            )
        else:
            parser.add_argument(
                flag_of(spec.name), dest=spec.name, metavar=spec.metadata["metavar"], default=None, help=explain
            )
    return parser
