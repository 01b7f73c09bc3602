"""`xtrinode-gateway`: the entry point of the gateway's process."""

from __future__ import annotations

import sys

from crds.client import KubeError
from crds.process.listener import PortTaken
from crds.process.main import run_program
from gateway.config import PROGRAM, Settings
from gateway.server import CannotServe, serve


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_program(Settings, PROGRAM, serve, (KubeError, PortTaken, CannotServe)))


if __name__ == "__main__":
    main()
