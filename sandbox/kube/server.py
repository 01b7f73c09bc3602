"""The embedded API server as one object: made of a store, the kinds it serves and an HTTPS listener.

Used in process by tests (`async with KubeServer() as server`) and by `python -m sandbox.kube`. It owns the order of
starting and stopping only: what a request means is decided by the verbs, what is kept by the store.
It listens on 127.0.0.1 and nowhere else.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from aiohttp import web

from sandbox.kube import tls
from sandbox.kube.admission import Admission
from sandbox.kube.authn import Authenticator
from sandbox.kube.bootstrap import bootstrap
from sandbox.kube.builtin import builtin_kinds
from sandbox.kube.crd_cleanup import CrdCleanup
from sandbox.kube.custom import CRDS, CustomResources
from sandbox.kube.gc import GarbageCollector
from sandbox.kube.namespaces import Namespaces
from sandbox.kube.persistence import Persistence
from sandbox.kube.rbac import User
from sandbox.kube.resources import Registry
from sandbox.kube.serving import Service
from sandbox.kube.store import HISTORY, GroupResource, Store
from sandbox.kube.stored_defaults import StoredDefaults
from sandbox.kube.verbs import Verbs
from sandbox.kube.work import Follower

HOST = "127.0.0.1"
_STOP_WITHIN = 2.0  # seconds for requests in flight; watches are ended before


class PortTaken(Exception):
    """Something else listens on the port."""


def _now() -> datetime:
    return datetime.now(UTC)


class KubeServer:
    """One API server. Without `data_dir` the state lives in memory and goes with the server.

    `start` raises DataDirBusy, BadDataDir or BadCredentials for the directory, and PortTaken.
    """

    def __init__(
        self,
        data_dir: Path | str | None = None,
        port: int = 0,
        *,
        kubeconfig: Path | str | None = None,
        history: int = HISTORY,
        tokens: Mapping[str, User] | None = None,
    ) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if data_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="xtrinode-kube-")
            data_dir = self._temporary.name
        self.data_dir = Path(data_dir)
        self.port = port  # the kernel's choice replaces 0 once started
        self.kubeconfig_path = Path(kubeconfig) if kubeconfig else self.data_dir / "kubeconfig"
        self.store = Store(history=history)
        self._tokens = tokens or {}  # further users, by token
        self.registry = Registry()
        self.admission = Admission(self.store)
        self.verbs = Verbs(self.store, _now, self.admission)
        self._custom = CustomResources(self.registry, _now)
        self._persistence: Persistence | None = None
        self._credentials: tls.Credentials | None = None
        self._service: Service | None = None
        self._runner: web.ServerRunner | None = None
        self._followers: list[Follower] = []

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def credentials(self) -> tls.Credentials:
        """Certificates and secrets, once started."""
        if self._credentials is None:
            raise RuntimeError("the API server was not started")
        return self._credentials

    @property
    def admin_token(self) -> str:
        return self.credentials.admin_token

    async def start(self) -> None:
        """Restore, listen, and be ready."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        if self._temporary is None:
            self._persistence = Persistence(self.data_dir)
        self._credentials = tls.load_credentials(self.data_dir)
        self.registry.add(builtin_kinds(self.store, self._custom.prepare))
        if self._persistence is not None:
            self._persistence.attach(self.store)
        defaults = StoredDefaults(self.store, self.registry)
        for crd in self.store.objects(CRDS):
            self._custom.serve(crd)
            defaults.refresh(GroupResource(crd["spec"]["group"], crd["spec"]["names"]["plural"]))
        self.store.listeners += [self._custom.follow, defaults.follow]
        await bootstrap(self.verbs, self.registry)
        await self._listen(self._credentials)
        self._followers = [
            GarbageCollector(self.store, self.registry, self.verbs),
            Namespaces(self.store, self.registry, self.verbs, self._credentials.ca_pem),
            CrdCleanup(self.store, self.registry, self.verbs),
        ]
        for follower in self._followers:
            follower.start()
        tls.write_kubeconfig(self.kubeconfig_path, self.url, self._credentials.ca_pem, self.admin_token)

    async def _listen(self, credentials: tls.Credentials) -> None:
        authenticator = Authenticator(
            admin_token=credentials.admin_token,
            service_account_key=credentials.service_account_key,
            store=self.store,
            static=self._tokens,
        )
        self._service = Service(
            verbs=self.verbs,
            registry=self.registry,
            authenticator=authenticator,
            clock=_now,
            address=f"{HOST}:{self.port}",
        )
        server = web.Server(
            self._service.handle,
            access_log=None,
            keepalive_timeout=90,
            # Without it, a watch whose client has gone would wait for the next change of its objects.
            handler_cancellation=True,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_STOP_WITHIN)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, HOST, self.port, ssl_context=tls.server_context(credentials), reuse_address=True
        )
        try:
            await site.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(f"port {self.port} of {HOST} is taken: stop what uses it or name another") from error
            raise
        if not self.port:
            self.port = int(self._runner.addresses[0][1])
        self._service.ready = True

    async def stop(self) -> None:
        """End watches first, so that nothing waits for them; then requests, then the files."""
        for follower in reversed(self._followers):
            await follower.stop()
        self._followers = []
        if self._service is not None:
            self._service.ready = False
            await self._service.close()
        self.store.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.admission.close()
        if self._persistence is not None:
            self._persistence.close()
            self._persistence = None
        if self._temporary is not None:
            self._temporary.cleanup()

    async def __aenter__(self) -> KubeServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
