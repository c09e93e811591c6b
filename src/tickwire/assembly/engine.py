"""The engine: a market side and a client side in one process, kept running together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

import structlog

from ..bus import Local
from ..config import Settings
from ..gateway.gateway import Gateway, Observer
from ..machine import Machine
from ..market.feeds import Feeds
from ..market.side import MarketSide
from ..model import Catalogue
from ..sandbox import Sandbox
from ..store import Backlog, Database, DataDirectory, GapStore, InstrumentStore, SuspensionStore, TokenStore
from .tasks import watched

NOTED = 30.0
"""Seconds between notes of the epoch."""

log = structlog.get_logger()


class Engine:
    """A market side and a client side.

    `databases` run the calls of the stores, first that of the data directory, and `maker` those that make a
    past; all end with the engine.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        feeds: Feeds,
        directory: DataDirectory,
        databases: Sequence[Database],
        tokens: TokenStore,
        suspensions: SuspensionStore,
        gaps: GapStore,
        gap_entries: Backlog,
        instruments: InstrumentStore,
        *,
        maker: Executor,
        machine: Machine,
        observer: Observer,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.machine = machine
        self.running = False
        self.database = database = databases[0]
        self._databases = databases
        self._directory = directory
        self._epoch = directory.begin(machine.time_ns() // 1000)
        self._began = machine.monotonic()
        self._maker = maker
        sandbox = Sandbox(settings.seed)
        self.market = MarketSide(
            settings,
            catalogue,
            feeds,
            database,
            suspensions,
            gaps,
            gap_entries,
            instruments,
            sandbox,
            bus=Local(),
            epoch=self._epoch,
            clock=machine.monotonic,
            time_ns=machine.time_ns,
        )
        self.gateway = Gateway(
            settings,
            catalogue,
            self.market,
            sandbox,
            tokens,
            database,
            clock=machine.monotonic,
            wall=machine.wall,
            observer=observer,
        )
        self.market.join(self.gateway)

    async def run(self) -> None:
        """Serves the sources, and the last state of those that end or fail. Never ends."""
        self.running = True
        tasks = self.market.tasks() | self.gateway.tasks()
        tasks["epoch"] = self._note_epochs
        try:
            async with asyncio.TaskGroup() as beside:
                for name, run in tasks.items():
                    beside.create_task(watched(name, run), name=name)
        finally:
            self.running = False
            await self._end()

    async def _end(self) -> None:
        """Writes what is left, and lets go of everything."""
        for step in (*self.gateway.ends(), *self.market.ends()):
            try:
                await step()
            except Exception:  # the others are to end all the same
                log.exception("a part of the server did not end well")
        for last in (self._note_epoch, self.close):
            try:
                await asyncio.to_thread(last)
            except RuntimeError:  # Python itself ends, and begins no more threads
                last()

    def close(self) -> None:
        """Lets go of the stores and of the data directory. May be called again."""
        try:
            self.market.close()
            self._maker.shutdown(cancel_futures=True)
            for database in self._databases:
                database.close()
        finally:
            self._directory.close()

    async def _note_epochs(self) -> None:
        while True:
            await asyncio.sleep(NOTED)
            await asyncio.to_thread(self._note_epoch)

    def _note_epoch(self) -> None:
        """Waits for the disk."""
        self._directory.note(self._epoch + int((self.machine.monotonic() - self._began) * 1e6))
