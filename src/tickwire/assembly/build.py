"""The composition root: an engine as the settings describe it, on a data directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

from ..bus.buckets import BucketOf, the_only
from ..bus.remote import RemoteMarket
from ..config import DATABASE, Settings, SourceKind
from ..errors import ReplacedError, SettingsError, StartError, StoreError
from ..gateway.gateway import NOBODY, Observer
from ..gateway.place import Place
from ..klines import Closed
from ..machine import REAL, Machine
from ..market.bars import ALIVE
from ..market.feeds import Feed, Feeds
from ..model import Catalogue
from ..sandbox import Sandbox, load_scenario
from ..sources import (
    Replay,
    Source,
)
from ..store import (
    KEY_FILE,
    Backlog,
    Database,
    DataDirectory,
    File,
    GapStore,
    InstrumentStore,
    KlineStore,
    PostgresFile,
    SqliteFile,
    SqliteKlineStore,
    SuspensionStore,
    TokenStore,
    klines_of,
    load_catalogue,
    load_instruments,
    make_data_directory,
    open_file,
    open_tokens,
    server_klines_of,
)
from ..store.rights import settle_rights
from .engine import Engine, GatewayEngine, MarketEngine
from .feed import Kept, feed_of, recorder_of
from .sources import may_be, replay_of, source_of

EngineT = TypeVar("EngineT", bound=MarketEngine)
START_WAIT = 45.0
"""Seconds that a start waits for a database that is away: so many that a service manager, which then starts
it again, does not count that as too often."""


CLUSTER_WAIT = 3.0
"""Seconds that a market of a cluster does, which keeps others from owning the streams meanwhile."""


def build(settings: Settings, machine: Machine = REAL, observer: Observer = NOBODY) -> Engine:
    """The engine that the settings describe, whose clients `observer` sees. Raises TickwireError if a file or
    a folder is unusable."""
    # The directory first: what is opened may be brought to a newer form.
    return _on(settings, machine, lambda data: _build(settings, data, _both(data, settings, observer)))


def build_market(
    settings: Settings, machine: Machine = REAL, *, above: int = 0, holds: Callable[[], bool] = lambda: True
) -> MarketEngine:
    """The same without a client side, for those in other processes. Sequences begin at `above` or later, in
    microseconds since the epoch. In a cluster, the market that did so before writes nothing any more, as long
    as this one `holds` the lease; else raises ReplacedError."""
    make = partial(MarketEngine, above=above)
    return _on(settings, machine, lambda data: _build(settings, data, make), above=above, holds=holds)


def build_gateway(
    settings: Settings,
    place: Place,
    reach: Callable[[RemoteMarket], Awaitable[None]],
    machine: Machine = REAL,
    observer: Observer = NOBODY,
    bucket_of: BucketOf = the_only,
) -> GatewayEngine:
    """A client side whose market side is in another process, one of those that share a server; `reach`
    keeps the way to it up. Raises TickwireError if a file or a folder is unusable."""
    make_data_directory(settings.data_dir)
    catalogue = load_catalogue(settings.instruments).copy()
    sandbox = Sandbox(settings.seed)
    remote = RemoteMarket(
        catalogue,
        sandbox,
        name=place.name,
        clock=machine.monotonic,
        wall=machine.millis,
        bucket_of=bucket_of,
    )
    with ExitStack() as opened:
        file = open_file(settings.data_dir / DATABASE, settings.database_url, wait=START_WAIT)
        opened.enter_context(closing(file))
        database = opened.enter_context(closing(Database(file, machine.wall)))
        tokens = TokenStore(file, settings.data_dir / KEY_FILE)
        engine = GatewayEngine(
            settings,
            catalogue,
            remote,
            sandbox,
            partial(reach, remote),
            tokens,
            database,
            machine,
            observer,
            place,
        )
        opened.pop_all()
    engine.declared = load_instruments(settings.instruments)
    return engine


def _both(data: Data, settings: Settings, observer: Observer) -> Callable[..., Engine]:
    """What makes an engine of both sides."""
    tokens = TokenStore(data.file, settings.data_dir / KEY_FILE)
    return partial(Engine, tokens=tokens, observer=observer)


def _build(settings: Settings, data: Data, make: Callable[..., EngineT]) -> EngineT:
    catalogue = shipped = load_catalogue(settings.instruments)
    if any(one.kind is SourceKind.PUBLISH for one in settings.source):
        catalogue = shipped.copy()  # others do not have what is published here
        InstrumentStore(data.file).teach(catalogue)
    elif len(settings.source) > 1:
        catalogue = shipped.copy()  # nor what one of them learns
    named = [*settings.codes, *(code for one in settings.source for code in one.codes)]
    if unknown := [code for code in named if named != ["all"] and not may_be(code, settings, catalogue)]:
        raise SettingsError(f"Unknown code {unknown[0]!r} in --codes or --source. Add it with --instruments.")
    if settings.source[0].kind is SourceKind.REPLAY:  # of what a relay may have recorded
        for learned in InstrumentStore(data.file).learned():
            if learned.code not in catalogue:
                catalogue.add(learned)
    scenarios = [load_scenario(name) for name in settings.scenario]
    if settings.source[0].kind is SourceKind.REPLAY:
        sources: list[tuple[Source, Collection[str]]] = [(replay_of(settings, catalogue, data.machine), ())]
    else:
        keep = partial(data.database.write, InstrumentStore(data.file).put)
        sources = [
            (
                source_of(
                    one,
                    settings,
                    catalogue if one.kind is SourceKind.PUBLISH else shipped,
                    keep,
                    data.machine,
                ),
                one.codes,
            )
            for one in settings.source
        ]
    engine = _assemble(settings, catalogue, sources, data, make)
    engine.declared = load_instruments(settings.instruments)
    try:
        for scenario in scenarios:
            engine.market.scenarios.begin(scenario)
    except BaseException:
        engine.close()
        raise
    return engine


def assemble(
    settings: Settings,
    catalogue: Catalogue,
    sources: Sequence[tuple[Source, Collection[str]]],
    machine: Machine = REAL,
    observer: Observer = NOBODY,
) -> Engine:
    """An engine on sources, each with the codes that it owns, none for all that it serves.

    Raises StartError if the data directory is unusable.
    """
    return _on(
        settings,
        machine,
        lambda data: _assemble(settings, catalogue, sources, data, _both(data, settings, observer)),
    )


class Data(NamedTuple):
    """The data directory of a server, its database, what runs the calls of that, and the machine of all;
    `real` is the same if the market's time is a virtual one."""

    directory: DataDirectory
    file: File
    database: Database
    machine: Machine
    real: Machine


@contextmanager
def _data(settings: Settings, machine: Machine, above: int, holds: Callable[[], bool]) -> Iterator[Data]:
    """A data directory for a server that starts, let go of if the start fails."""
    path, real = settings.data_dir, machine
    with ExitStack() as opened:
        directory = opened.enter_context(closing(DataDirectory(path, machine.disk)))
        if settings.start is not None and settings.source[0].kind is SourceKind.SIMULATOR:
            directory.check_unused()
            machine = machine.starting(settings.start)
        wait = CLUSTER_WAIT if settings.bus else START_WAIT
        file = open_file(path / DATABASE, settings.database_url, directory.hold, wait=wait)
        opened.enter_context(closing(file))
        if settings.bus and isinstance(file, PostgresFile):
            number = max(
                int(real.wall() * 1e6), above
            )  # before: whoever takes the lease later has a later one
            if not holds():  # a database was waited for too long
                raise ReplacedError("The lease ran out before this market could begin.")
            file.own(settings.cluster, number)
        if machine is not real and settings.database is not None:
            _check_unused(file)
        database = opened.enter_context(closing(Database(file, machine.wall)))
        yield Data(directory, file, database, machine, real)
        opened.pop_all()


def _check_unused(file: File) -> None:
    """Raises StartError if a server with a simulator has kept bars there."""
    if klines_of(file).get(SourceKind.SIMULATOR, ALIVE) is not None:
        raise StartError(
            f"A server ran on the database {file.name}, and --start begins anew: name a fresh one, or leave "
            "out --start."
        )


def _on(
    settings: Settings,
    machine: Machine,
    make: Callable[[Data], EngineT],
    *,
    above: int = 0,
    holds: Callable[[], bool] = lambda: True,
) -> EngineT:
    """What `make` makes on a data directory. If it meets a damaged page of the database, that is mended, and
    it tries again."""
    data: Data | None = None
    try:
        with _data(settings, machine, above, holds) as data:
            return make(data)
    except StoreError:
        if data is None or not data.file.damaged:
            raise
    with _data(settings, machine, above, holds) as data:
        data.file.mend()
        return make(data)


def _assemble(
    settings: Settings,
    catalogue: Catalogue,
    sources: Sequence[tuple[Source, Collection[str]]],
    data: Data,
    make: Callable[..., EngineT],
) -> EngineT:
    """What `make` makes of the parts of a market side."""

    def revised(feed: Feed, closed: Iterable[Closed]) -> None:
        engine.market.bars.closed_of(feed, closed)

    file, databases, machine = data.file, [data.database], data.machine
    replay = any(isinstance(source, Replay) for source, _ in sources)
    with ExitStack() as opened:
        store: KlineStore
        if replay and not settings.keep_bars:
            memory = SqliteFile(None)
            databases.append(opened.enter_context(closing(Database(memory, machine.wall))))
            store = SqliteKlineStore(memory)
        else:
            store = server_klines_of(file, settings.data_dir, settings.spool_bytes, data.directory.hold)
        maker = ThreadPoolExecutor(1, "past")
        opened.callback(maker.shutdown)
        kept = Kept(store, databases[-1], GapStore(file), Backlog(data.database, "gaps"), maker)
        feeds = []
        for source, codes in sources:
            recorder = None
            if settings.record is not None:
                recorder = recorder_of(settings, settings.record, source, machine, alone=len(sources) == 1)
                opened.callback(recorder.close)
            feeds.append(feed_of(settings, catalogue, source, codes, recorder, kept, revised, machine.wall))
        engine = make(
            settings,
            catalogue,
            Feeds(feeds, settings.fallback_after, machine.monotonic),
            data.directory,
            databases,
            SuspensionStore(file),
            kept.gaps,
            kept.gap_entries,
            InstrumentStore(file),
            maker=maker,
            machine=data.real,
            time_ns=machine.time_ns,
        )
        opened.callback(engine.close)
        opened.pop_all()
    return engine


def is_guarded(settings: Settings) -> bool:
    """Whether tokens are checked in that data directory. Raises StartError if it is unusable."""
    make_data_directory(settings.data_dir)
    with open_tokens(settings.data_dir / DATABASE, settings.database_url, wait=START_WAIT) as tokens:
        return tokens.guarded()


def settle(settings: Settings) -> None:
    """What this process makes, and what it keeps, is for the eyes that the settings name: for a process that
    is nothing but a server."""
    settle_rights(settings.data_dir, settings.record, group=settings.group_read)
