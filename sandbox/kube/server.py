"""The embedded API server as one object: made of a store, the kinds it serves and an HTTPS listener.

Used in process by tests (`async with KubeServer() as server`) and by `python -m sandbox.kube`. It owns start and
stop order only: what a request means is decided by the verbs, what is stored by the store.
It listens on 127.0.0.1 and nowhere else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from sandbox.kube import tls
from sandbox.kube.store import Store

HOST = "127.0.0.1"


class KubeServer:
    """One API server. Without `data_dir` the state lives in memory and goes with the server."""

    def __init__(
        self, data_dir: Path | str | None = None, port: int = 0, *, kubeconfig: Path | str | None = None
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="xtrinode-kube-") if data_dir is None else None
        self.data_dir = Path(data_dir if self._temporary is None else self._temporary.name)
        self.persistent = self._temporary is None
        self.port = port  # the kernel's choice replaces 0 once started
        self.kubeconfig_path = Path(kubeconfig) if kubeconfig else self.data_dir / "kubeconfig"
        self.credentials = tls.load_credentials(self.data_dir)
        self.admin_token = self.credentials.admin_token
        self.store = Store()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def start(self) -> None:
        tls.write_kubeconfig(self.kubeconfig_path, self.url, self.credentials.ca_pem, self.admin_token)

    async def stop(self) -> None:
        self.store.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def __aenter__(self) -> KubeServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
