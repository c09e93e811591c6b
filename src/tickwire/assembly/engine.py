"""The engine: a market side, and mostly a client side in the same process, kept running together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import structlog

from ..bus import ALL_COMES, Interest, Local, Supplier, TokenHome
from ..bus.remote import RemoteMarket
from ..config import Settings
from ..errors import StoreError
from ..gateway.gateway import Gateway, Observer
from ..gateway.place import ONLY, Place
from ..machine import Machine
from ..market.feeds import Feeds
from ..market.side import MarketSide
from ..model import Catalogue, Instrument
from ..sandbox import Sandbox
from ..store import Backlog, Database, DataDirectory, GapStore, InstrumentStore, SuspensionStore, TokenStore
from .tasks import watched

FIRST_WAIT = 5.0
"""Seconds that clients wait for the first sight of a market side in another process."""
NOTED = 30.0
"""Seconds between notes of the epoch."""

log = structlog.get_logger()


class MarketEngine:
    """A market side.

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
        suspensions: SuspensionStore,
        gaps: GapStore,
        gap_entries: Backlog,
        instruments: InstrumentStore,
        *,
        maker: Executor,
        machine: Machine,
        time_ns: Callable[[], int],
        above: int = 0,
    ) -> None:
        """`time_ns` is the time of the market side, in nanoseconds since the epoch. Sequences begin at
        `above` or later, in microseconds since the epoch."""
        self.settings = settings
        self.catalogue = catalogue
        self.machine = machine
        self.declared: dict[str, Instrument] = {}
        """The user's instruments as they were read last, by code."""
        self.running = False
        self.lost: list[str] = []
        """What could not be kept when it ended, a sentence each."""
        self.began = asyncio.Event()
        """Set when the sources have begun, so that data comes."""
        self.database = database = databases[0]
        self._databases = databases
        self._tasks: list[asyncio.Task[None]] = []
        self._directory = directory
        self._epoch = directory.begin(max(time_ns() // 1000, above))
        self._started = machine.monotonic()
        self._maker = maker
        self.sandbox = sandbox = Sandbox(settings.seed)
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
            time_ns=time_ns,
        )

    def beside(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What else is to be kept running in this process, by name, from the first."""
        return {}

    def before(self) -> list[Callable[[], Awaitable[None]]]:
        """What is to be done in the end before the market side ends."""
        return []

    async def run(self) -> None:
        """Serves the sources, and the last state of those that end or fail.

        Never ends, unless it is to end with its replay. Raises InputError if a source cannot begin, or the
        replay breaks with which it is to end.
        """
        try:
            async with asyncio.TaskGroup() as beside:

                def keep_running(tasks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
                    self._tasks += [beside.create_task(watched(*one), name=one[0]) for one in tasks.items()]

                keep_running(self.beside() | {"epoch": self._note_epochs})
                await self.market.prepare()
                keep_running(self.market.tasks())
                self.running = True
                self.began.set()
                if self.settings.exit_at_end:
                    await self.market.ended()
                    for task in self._tasks:
                        task.cancel()
        except ExceptionGroup as group:  # tasks that are watched raise nothing
            raise group.exceptions[0] from None
        finally:
            self.running = False
            await self._end()

    @property
    def alive(self) -> bool:
        """Whether all that is to be kept running does run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def change(self, settings: Settings) -> None:
        """Other settings from now on: those of `config.ALIVE`, which have been checked."""
        self.settings = settings
        self.market.change(settings)

    async def _end(self) -> None:
        """Writes what is left, and lets go of everything."""
        for step in (*self.before(), *self.market.ends()):
            try:
                await step()
            except StoreError as error:
                log.error("not all is kept at the end", reason=str(error))
                self.lost.append(str(error))
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
        self._directory.note(self._epoch + int((self.machine.monotonic() - self._started) * 1e6))


class Engine(MarketEngine):
    """A market side and a client side in one process."""

    def __init__(self, *parts: Any, tokens: TokenStore, observer: Observer, **named: Any) -> None:
        """Tokens and the quotas of a day go by the machine's own time, as those do who make the tokens; the
        rest is that of `MarketEngine`."""
        super().__init__(*parts, **named)
        self.gateway = gateway_of(
            self.settings,
            self.catalogue,
            self.market,
            self.sandbox,
            tokens,
            self.database,
            self.machine,
            observer,
        )
        self.market.join(self.gateway)

    def beside(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """The client side's."""
        return self.gateway.tasks()

    async def before_clients(self) -> None:
        """Clients may come while the sources begin."""

    def before(self) -> list[Callable[[], Awaitable[None]]]:
        """The client side ends first."""
        return self.gateway.ends()

    def change(self, settings: Settings) -> None:
        """Other settings from now on: those of `config.ALIVE`, which have been checked."""
        self.gateway.change(settings)
        super().change(settings)


class GatewayEngine:
    """A client side whose market side is in another process, which `reach` keeps the way to up."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        remote: RemoteMarket,
        sandbox: Sandbox,
        reach: Callable[[], Awaitable[None]],
        tokens: TokenStore,
        database: Database,
        machine: Machine,
        observer: Observer,
        place: Place,
    ) -> None:
        self.settings = settings
        self.catalogue = catalogue
        self.machine = machine
        self.declared: dict[str, Instrument] = {}
        self.lost: list[str] = []
        self.began = asyncio.Event()
        """Set when the market side is there for the first time, so that data comes."""
        self.database = database
        self.remote = remote
        self.market = remote.supplier
        self._reach = reach
        self._tasks: list[asyncio.Task[None]] = []
        self.gateway = gateway_of(
            settings,
            catalogue,
            self.market,
            sandbox,
            tokens,
            database,
            machine,
            observer,
            place,
            remote.home,
            remote.interest,
        )
        remote.join(self.gateway)

    async def before_clients(self) -> None:
        """Whoever comes before the market side is there can be told nothing: he waits, but not for long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT):
                await self.began.wait()

    @property
    def running(self) -> bool:
        """Whether data comes, or has come: while the market side is away, its last state is served."""
        return self.began.is_set() and bool(self._tasks)

    async def run(self) -> None:
        """Serves what the market side gives. Never ends. Raises BusError if that refuses us."""
        try:
            async with asyncio.TaskGroup() as beside:
                for one in self.gateway.tasks().items():
                    self._tasks.append(beside.create_task(watched(*one), name=one[0]))
                beside.create_task(self._reaching())
                await self.remote.joined.wait()
                self.began.set()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self._tasks.clear()
            for step in (*self.gateway.ends(), self.remote.end):
                try:
                    await step()
                except Exception:  # the others are to end all the same
                    log.exception("a part of the server did not end well")
            await asyncio.to_thread(self.close)

    @property
    def alive(self) -> bool:
        """Whether all that is to be kept running does run."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    def change(self, settings: Settings) -> None:
        """Other settings from now on, which have been checked."""
        self.settings = settings
        self.gateway.change(settings)

    def close(self) -> None:
        """Lets go of the store. May be called again."""
        self.database.close()

    async def _reaching(self) -> None:
        await self._reach()


def gateway_of(
    settings: Settings,
    catalogue: Catalogue,
    market: Supplier,
    sandbox: Sandbox,
    tokens: TokenStore,
    database: Database,
    machine: Machine,
    observer: Observer,
    place: Place = ONLY,
    home: TokenHome | None = None,
    interest: Interest = ALL_COMES,
) -> Gateway:
    """A client side on a machine."""
    return Gateway(
        settings,
        catalogue,
        market,
        sandbox,
        tokens,
        database,
        carry=machine.network.carry,
        clock=machine.monotonic,
        wall=machine.wall,
        observer=observer,
        place=place,
        home=home,
        interest=interest,
    )
