"""`python -m kubectl_xtrinode` and the console script `kubectl-xtrinode`."""

from __future__ import annotations

from kubectl_xtrinode.cli import main

if __name__ == "__main__":
    main()
