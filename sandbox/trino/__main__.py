"""`python -m sandbox.trino`: start a stand-in coordinator or worker from a rendered /etc/trino.

The sandbox's kubelet runs it for containers of the image trinodb/trino. Exit codes: 100 when the
configuration is refused or the address cannot be bound, as the real server; 0 after a graceful
shutdown by PUT /v1/info/state; 143 after SIGTERM, as a JVM; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from sandbox.trino.configuration import ConfigurationInvalid, ServerConfiguration, load_configuration, read_etc
from sandbox.trino.faults import KINDS, Faults, InvalidFault, parse_fault

_REFUSED = 100
_TERMINATED = 143
_INTERRUPTED = 130
log = logging.getLogger("io.trino.server.Server")


def _parser() -> argparse.ArgumentParser:
    faults = "\n".join(f"  {kind:14} {what}" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.trino",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            f"kinds of --fault:\n{faults}\n\n"
            "keys of --fault: path (prefix, default /v1/statement), method, probability (0 to 1), count,\n"
            "seconds, value.\n"
            "Example: --fault status,value=503,probability=0.1 --fault delay,seconds=2,path=/v1/info\n\n"
            "with --admin: GET, PUT (a JSON list of rules with these keys) and DELETE /sandbox/faults;\n"
            "POST /sandbox/restart gives the coordinator a new id and makes it forget its queries.\n\n"
            "In SQL, sandbox_sleep(seconds) and the session property sandbox_sleep keep a query RUNNING."
        ),
    )
    environment = os.environ
    parser.add_argument(
        "--etc-dir",
        type=Path,
        default=Path(environment.get("XTRINODE_ETC_DIR", "/etc/trino")),
        help="the server's configuration files (default %(default)s)",
    )
    parser.add_argument(
        "--address",
        default=environment.get("XTRINODE_ADDRESS", "127.0.0.1"),
        help="the one address to bind, a pod's (default %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=None,
        help="instead of http-server.http.port of config.properties; 0 lets the system choose",
    )
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xtrinode" / "sandbox"
    parser.add_argument(
        "--cache-dir",
        type=Path,
        default=Path(environment.get("XTRINODE_CACHE_DIR", cache)),
        help="where generated TPC-H tables are kept (default %(default)s)",
    )
    parser.add_argument(
        "--namespace",
        default=environment.get("XTRINODE_POD_NAMESPACE"),
        help="the pod's namespace, for short Service names in discovery.uri",
    )
    parser.add_argument(
        "--hosts-file",
        type=Path,
        default=environment.get("XTRINODE_SANDBOX_HOSTS"),
        help="names and addresses in the format of /etc/hosts (default: $XTRINODE_SANDBOX_HOSTS)",
    )
    parser.add_argument(
        "--startup-seconds",
        type=float,
        default=environment.get("XTRINODE_STARTUP_SECONDS", "0"),
        help="how much longer the server says that it is starting (default %(default)s)",
    )
    parser.add_argument(
        "--latency",
        type=float,
        default=environment.get("XTRINODE_LATENCY", "0"),
        help="seconds before each answer under /v1/ (default %(default)s)",
    )
    parser.add_argument(
        "--error-rate",
        type=float,
        default=environment.get("XTRINODE_ERROR_RATE", "0"),
        help="share of statement requests answered with 503, 0 to 1 (default %(default)s)",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[,KEY=VALUE...]",
        help="a fault to inject, repeatable; see below",
    )
    parser.add_argument("--seed", type=int, default=None, help="makes the probabilities repeatable")
    parser.add_argument(
        "--admin",
        action="store_true",
        default=environment.get("XTRINODE_ADMIN") == "true",
        help="serve /sandbox/..., where faults can be changed",
    )
    parser.add_argument("--check", action="store_true", help="judge the configuration and exit")
    return parser  # fmt: skip


def _faults(options: argparse.Namespace) -> Faults:
    import random

    rules = [parse_fault(text) for text in [*options.fault, *os.environ.get("XTRINODE_FAULTS", "").split()]]
    if options.error_rate:
        rules.append(parse_fault(f"status,value=503,probability={options.error_rate}"))
    if options.latency:
        rules.append(parse_fault(f"delay,path=/v1/,seconds={options.latency}"))
    return Faults(rules, random.Random(options.seed))


def physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def report_invalid(problems: Sequence[str]) -> str:
    """The list as the real server logs it."""
    listed = "\n".join(f"{number}) {problem}" for number, problem in enumerate(problems, start=1))
    return f"Configuration is invalid\n==========\n\nErrors:\n\n{listed}\n\n=========="


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    _log_to_stderr()
    try:
        faults = _faults(options)
    except InvalidFault as error:
        parser.error(f"--fault: {error}")
    try:
        configuration = load_configuration(read_etc(options.etc_dir), os.environ, physical_memory=physical_memory())
    except ConfigurationInvalid as error:
        log.error("%s", report_invalid(error.problems))
        return _REFUSED
    if options.check:
        return 0
    return asyncio.run(_serve(configuration, options, faults))


async def _serve(configuration: ServerConfiguration, options: argparse.Namespace, faults: Faults) -> int:
    from sandbox.trino.passwords import PasswordFileInvalid
    from sandbox.trino.server import ServerOptions, TrinoServer

    settings = ServerOptions(
        address=options.address,
        port=options.port,
        cache=options.cache_dir,
        startup_seconds=options.startup_seconds,
        admin=options.admin,
        faults=faults,
        hosts_file=Path(options.hosts_file) if options.hosts_file else None,
        namespace=options.namespace,
    )
    server = TrinoServer(configuration, settings)
    ended: list[int] = []
    loop = asyncio.get_running_loop()

    def end(code: int) -> None:
        ended.append(code)
        server.stopped.set()

    loop.add_signal_handler(signal.SIGTERM, end, _TERMINATED)
    loop.add_signal_handler(signal.SIGINT, end, _INTERRUPTED)
    try:
        async with server:
            role = "coordinator" if configuration.coordinator else "worker"
            log.info("Stand-in %s %s listens on %s", role, server.node_id, server.url)
            starting = asyncio.create_task(server.ready())
            stopping = asyncio.create_task(server.stopped.wait())
            await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
            await stopping
            starting.cancel()
    except (OSError, PasswordFileInvalid) as error:
        log.error("%s", report_invalid([f"Error: {error}"]))
        return _REFUSED
    return ended[0] if ended else 0


class _Formatter(logging.Formatter):
    """`2026-01-31T10:20:30.123Z  INFO  main  logger  message`, tab-separated as the real server's log."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{stamp}.{int(record.msecs):03d}Z\t{record.levelname}\tmain\t{record.name}\t{record.getMessage()}"


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
