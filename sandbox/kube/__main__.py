"""`python -m sandbox.kube`: the embedded API server as a process of its own.

Started by the sandbox and by whoever wants a Kubernetes API without a cluster. Runs until SIGTERM or SIGINT. What
stops it from starting is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from sandbox.kube.authn import BadTokenFile, read_token_file
from sandbox.kube.persistence import BadDataDir, DataDirBusy
from sandbox.kube.server import KubeServer, PortTaken
from sandbox.kube.tls import BadCredentials


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.kube",
        description="An embedded Kubernetes API server on 127.0.0.1: for trying and testing, not Kubernetes.",
    )
    env = os.environ
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=env.get("XTRINODE_DATA_DIR"),
        help="keep objects and certificates here; in memory without it",
    )
    parser.add_argument(
        "--port", type=int, default=int(env.get("XTRINODE_PORT") or 0), help="port on 127.0.0.1; 0 takes a free one"
    )
    parser.add_argument(
        "--kubeconfig",
        type=Path,
        default=env.get("XTRINODE_KUBECONFIG"),
        help="write the administrator's kubeconfig to this file",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        default=env.get("XTRINODE_TOKEN_FILE"),
        help='further users: lines of token,user,uid,"group1,group2"',
    )
    parser.add_argument("--log-level", default=env.get("XTRINODE_LOG_LEVEL", "info"), help="debug, info, warning")
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    tokens = read_token_file(options.token_file) if options.token_file else None
    async with KubeServer(options.data_dir, options.port, kubeconfig=options.kubeconfig, tokens=tokens) as server:
        kept = f"data in {server.data_dir}" if options.data_dir else "in memory"
        sys.stderr.write(
            f"xtrinode sandbox API server (not Kubernetes) on {server.url}, {kept}; "
            f"kubectl --kubeconfig {server.kubeconfig_path}\n"
        )
        sys.stderr.flush()
        await stopping.wait()


def main(argv: list[str] | None = None) -> int:
    options = _arguments(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        level=str(options.log_level).upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    try:
        asyncio.run(_serve(options))
    except (DataDirBusy, BadDataDir, BadCredentials, BadTokenFile, PortTaken, OSError) as error:
        sys.stderr.write(f"sandbox.kube: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
