"""A running stand-in: the listener, the engine behind it and what ends it.

`TrinoServer` is an async context manager, so that tests run one in process; the command wraps it in a
process with signals. The listener is up first and says `starting`; then the engine is loaded, and
only then queries are taken, as with the real server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from sandbox.trino import application
from sandbox.trino.announcer import Announcer, HostsFile
from sandbox.trino.configuration import ServerConfiguration
from sandbox.trino.dialect_version import VERSION
from sandbox.trino.dispatcher import Dispatcher
from sandbox.trino.engine import Engine
from sandbox.trino.faults import Faults
from sandbox.trino.node_state import NodeState, NodeStates
from sandbox.trino.nodes import Node, NodeInventory
from sandbox.trino.request_context import ServerContext
from sandbox.trino.system_tables import ClusterTables

log = logging.getLogger("io.trino.server.Server")
_HEADER_LIMIT = 2 * 2**20


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What no file of the real server says. `port` None: the configured one."""

    address: str = "127.0.0.1"
    port: int | None = None
    cache: Path = Path.home() / ".cache" / "xtrinode" / "sandbox"
    startup_seconds: float = 0.0
    admin: bool = False
    threads: int = 2
    faults: Faults = field(default_factory=Faults)
    hosts_file: Path | None = None
    namespace: str | None = None
    announce_seconds: float = 1.0


class TrinoServer:
    """`url` is where it listens; `stopped` is set when a graceful shutdown has run its course."""

    def __init__(self, configuration: ServerConfiguration, options: ServerOptions | None = None) -> None:
        self.configuration = configuration
        self.options = options or ServerOptions()
        self.stopped = asyncio.Event()
        self.node_id = configuration.node_id or str(uuid.uuid4())
        self.port = 0
        self.context: ServerContext | None = None
        self._engine: Engine | None = None
        self._announcer: Announcer | None = None
        self._runner: web.AppRunner | None = None
        self._starting: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.options.address}:{self.port}"

    async def __aenter__(self) -> Self:
        configuration, options = self.configuration, self.options
        wanted = configuration.http_port if options.port is None else options.port
        states = NodeStates(
            coordinator=configuration.coordinator, grace=configuration.grace_period, stopped=self.stopped.set
        )
        context = ServerContext(
            configuration, address=options.address, port=wanted, node_id=self.node_id, states=states
        )
        context.authentication.load()
        self.context = context
        app = application.build(context, options.faults, admin_paths=options.admin)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1.0,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            max_headers=1024,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, options.address, wanted).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = context.port = int(self._runner.addresses[0][1])
        if configuration.coordinator:
            self._prepare_coordinator(context)
        self._starting = asyncio.create_task(self._start(context), name="start")
        return self

    def _prepare_coordinator(self, context: ServerContext) -> None:
        own = Node(self.node_id, self.url, VERSION, True, NodeState.ACTIVE, context.clock())
        context.inventory = NodeInventory(
            own, include_coordinator=self.configuration.include_coordinator, clock=context.clock
        )
        engine = Engine(self.configuration, self.options.cache, threads=self.options.threads)
        dispatcher = Dispatcher(self.configuration, engine, context.inventory.active_workers)
        engine.system = ClusterTables(
            self.configuration.catalogs,
            context.inventory.nodes,
            lambda: list(dispatcher.queries.values()),
            engine.transaction_ids,
        )
        dispatcher.start()
        self._engine, context.dispatcher = engine, dispatcher

    async def _start(self, context: ServerContext) -> None:
        if self.options.startup_seconds:
            await asyncio.sleep(self.options.startup_seconds)
        if self._engine is not None:
            await asyncio.to_thread(self._engine.start)
        else:
            self._announce(context)
        context.starting = False
        log.info("======== SERVER STARTED ========")

    def _announce(self, context: ServerContext) -> None:
        configuration, options = self.configuration, self.options
        self._announcer = Announcer(
            discovery_uri=configuration.discovery_uri,
            node_id=self.node_id,
            environment=configuration.environment,
            own_uri=self.url,
            state=lambda: context.states.current,
            secret=configuration.shared_secret,
            hosts=HostsFile(options.hosts_file, options.namespace),
            interval=options.announce_seconds,
        )
        context.states.changed = self._announcer.changed
        self._announcer.start()

    async def ready(self) -> None:
        """Until the server has started; raises what stopped it."""
        assert self._starting is not None
        await self._starting

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._starting
        if self.context is not None:
            self.context.states.close()
            if self.context.dispatcher is not None:
                await self.context.dispatcher.stop()
        if self._announcer is not None:
            await self._announcer.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)
