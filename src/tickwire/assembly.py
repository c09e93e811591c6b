"""The composition root: an engine as the settings describe it, its source, its stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from .access import BUILT_IN
from .client import Network, Rates, http_url
from .config import DATABASE, VENDOR, Choice, Settings, SourceKind
from .engine import Engine
from .errors import InputError, SettingsError, StoreError
from .klines import Closed, Rules
from .market.bars import Archive, Bars, Batches, Pasts, Retention
from .market.feeds import Feed, Feeds
from .market.missing import Backfill, Depths, Filling, Ledger, Missing
from .model import Catalogue, Entrance, Event, event_fault, family_of, looks_like
from .sandbox import load_scenario
from .sources import (
    DEFAULT_CODES,
    PUBLISHER,
    Csv,
    Health,
    Judge,
    Mapper,
    Published,
    Recording,
    Replay,
    Simulator,
    Source,
    Status,
    widened,
)
from .sources.exchange import Exchange, load_symbols
from .sources.relay import Relay, TokenFile, UpstreamPlan
from .store import (
    KEY_FILE,
    Backlog,
    Database,
    DataDirectory,
    GapStore,
    InstrumentStore,
    SqliteFile,
    SqliteKlineStore,
    SuspensionStore,
    TokenStore,
    load_catalogue,
    make_data_directory,
    open_tokens,
)
from .store.recordings import Recorder, Recordings

RECORDING = "recording"
"""The note that says which recording is kept beside the bars of what is published."""

log = structlog.get_logger()


def build(
    settings: Settings,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Engine:
    """The engine that the settings describe. Raises TickwireError if a file or a folder is unusable."""
    # The directory first: what is opened may be brought to a newer form.
    return _on(settings.data_dir, lambda data: _build(settings, data, clock, wall))


def _build(settings: Settings, data: Data, clock: Callable[[], float], wall: Callable[[], float]) -> Engine:
    catalogue = shipped = load_catalogue(settings.instruments)
    if any(one.kind is SourceKind.PUBLISH for one in settings.source):
        catalogue = shipped.copy()  # others do not have what is published here
        InstrumentStore(data.file).teach(catalogue)
    elif len(settings.source) > 1:
        catalogue = shipped.copy()  # nor what one of them learns
    named = [*settings.codes, *(code for one in settings.source for code in one.codes)]
    if unknown := [code for code in named if named != ["all"] and not _may_be(code, settings, catalogue)]:
        raise SettingsError(f"Unknown code {unknown[0]!r} in --codes or --source. Add it with --instruments.")
    if settings.source[0].kind is SourceKind.REPLAY:  # of what a relay may have recorded
        for learned in InstrumentStore(data.file).learned():
            if learned.code not in catalogue:
                catalogue.add(learned)
    scenarios = [load_scenario(name) for name in settings.scenario]
    if settings.source[0].kind is SourceKind.REPLAY:
        catalogue, replay = _replay(settings, catalogue)
        sources: list[tuple[Source, Collection[str]]] = [(replay, ())]
    else:
        sources = [
            (
                _source(one, settings, catalogue if one.kind is SourceKind.PUBLISH else shipped, data),
                one.codes,
            )
            for one in settings.source
        ]
    engine = _assemble(settings, catalogue, sources, data, clock, wall)
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
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Engine:
    """An engine on sources, each with the codes that it owns, none for all that it serves.

    Raises StartError if the data directory is unusable.

    `clock` is the monotonic clock, `wall` the time since the epoch that tokens and daily quotas go by, both
    in seconds.
    """
    return _on(settings.data_dir, lambda data: _assemble(settings, catalogue, sources, data, clock, wall))


class Data(NamedTuple):
    """The data directory of a server, its database, and what runs the calls of that."""

    directory: DataDirectory
    file: SqliteFile
    database: Database


@contextmanager
def _data(path: Path) -> Iterator[Data]:
    """A data directory for a server that starts, let go of if the start fails."""
    with ExitStack() as opened:
        directory = opened.enter_context(closing(DataDirectory(path)))
        file = opened.enter_context(closing(SqliteFile(path / DATABASE, guard=directory.hold)))
        database = opened.enter_context(closing(Database(file)))
        yield Data(directory, file, database)
        opened.pop_all()


def _on(path: Path, make: Callable[[Data], Engine]) -> Engine:
    """What `make` makes on a data directory. If it meets a damaged page of the database, that is mended, and
    it tries again."""
    data: Data | None = None
    try:
        with _data(path) as data:
            return make(data)
    except StoreError:
        if data is None or not data.file.damaged:
            raise
    with _data(path) as data:
        data.file.mend()
        return make(data)


def _assemble(
    settings: Settings,
    catalogue: Catalogue,
    sources: Sequence[tuple[Source, Collection[str]]],
    data: Data,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> Engine:

    def revised(feed: Feed, closed: Iterable[Closed]) -> None:
        engine.market.bars.closed_of(feed, closed)

    file, databases = data.file, [data.database]
    replay = any(isinstance(source, Replay) for source, _ in sources)
    with ExitStack() as opened:
        store = SqliteKlineStore(file)
        if replay and not settings.keep_bars:
            memory = SqliteFile(None)
            databases.append(opened.enter_context(closing(Database(memory))))
            store = SqliteKlineStore(memory)
        maker = ThreadPoolExecutor(1, "past")
        opened.callback(maker.shutdown)
        kept = Kept(store, databases[-1], GapStore(file), Backlog(data.database, "gaps"), maker)
        feeds = []
        for source, codes in sources:
            recorder = None
            if settings.record is not None:
                recorder = _recorder(settings, settings.record, source, alone=len(sources) == 1)
                opened.callback(recorder.close)
            feeds.append(_feed(settings, catalogue, source, codes, recorder, kept, revised))
        engine = Engine(
            settings,
            catalogue,
            Feeds(feeds, settings.fallback_after, clock),
            data.directory,
            databases,
            TokenStore(file, settings.data_dir / KEY_FILE),
            SuspensionStore(file),
            kept.gaps,
            kept.gap_entries,
            InstrumentStore(file),
            maker=maker,
            clock=clock,
            wall=wall,
        )
        opened.callback(engine.close)
        opened.pop_all()
    return engine


class Kept(NamedTuple):
    """What the bars of all feeds are kept in, and what makes those that are made up."""

    store: SqliteKlineStore
    database: Database
    gaps: GapStore
    gap_entries: Backlog
    maker: Executor


def _feed(
    settings: Settings,
    catalogue: Catalogue,
    source: Source,
    codes: Collection[str],
    recorder: Recorder | None,
    kept: Kept,
    revised: Callable[[Feed, Iterable[Closed]], None],
) -> Feed:
    """A source with all that belongs to it. `revised` is called with closed bars that are others now."""

    def tell(closed: Iterable[Closed]) -> None:
        revised(feed, closed)

    publishers = None
    if isinstance(source, Published):
        _restore(source, recorder, kept.store)
        publishers = source.publishers
    rules = Rules(int(settings.close_delay * 1000), int(settings.late_window * 1000))
    repeats = isinstance(source, Replay) and settings.keep_bars
    archive = Archive(source.name, kept.store, kept.database, publishers)
    bars = Bars(archive, rules, tell, repeats=repeats, flat=settings.flat_bars)
    batches = Batches(archive, bars)
    pasts = Pasts(source.past, archive, bars, batches, kept.maker)
    retention = Retention(settings.retention, archive, bars, pasts)
    ledger, backfill = Ledger(source, kept.gaps, kept.gap_entries), None
    if source.history is not None:
        depths = Depths(archive)
        filling = Filling(source, source.history, archive, bars, depths)
        backfill = Backfill(source, bars, depths, filling, ledger, tell)
    missing = Missing(source, bars, catalogue, ledger, backfill)
    feed = Feed(source, bars, batches, pasts, retention, missing, recorder, codes or None)
    return feed


def _recorder(settings: Settings, folder: Path, source: Source, *, alone: bool) -> Recorder:
    """What records a source: each of several into a folder of its own."""
    return Recorder(
        folder if alone else folder / source.name.replace(":", "-"),
        source.name,
        lines=isinstance(source, Published),
        keep_days=settings.record_keep_days,
        keep_bytes=settings.record_keep_bytes,
    )


def _restore(published: Published, recorder: Recorder | None, store: SqliteKlineStore) -> None:
    """Publishers go on where they were, in the bars and in the recording that was kept beside them."""
    name, recording = published.name, ""
    if recorder is not None:
        recording = recorder.follow(store.get(name, RECORDING))
        store.put(name, RECORDING, recording)
    published.publishers.restore(store.notes(name, PUBLISHER), recorder, recording)


def _source(choice: Choice, settings: Settings, catalogue: Catalogue, data: Data) -> Source:
    """A live or simulated source. Raises TickwireError if it cannot be used."""
    codes = [*choice.codes] or settings.codes
    if codes == ["all"]:
        codes = [one.code for one in catalogue]
    if choice.kind is SourceKind.ALLTICK:
        return _relay(settings, catalogue, codes)
    codes = [code for code in codes if code in catalogue]  # a relay may learn what the others are
    match choice.kind:
        case SourceKind.EXCHANGE:
            symbols = load_symbols(settings.symbols)
            return Exchange(
                choice.venue,
                catalogue,
                symbols,
                keep=codes,
                options=settings.exchanges.get(choice.venue, {}),
                silence=settings.upstream_silence,
            )
        case SourceKind.PUBLISH:
            keep = partial(data.database.write, InstrumentStore(data.file).put)
            return Published(catalogue, codes, keep=keep, quote_trades=settings.quote_trades)
        case _:
            return Simulator(
                catalogue,
                codes or DEFAULT_CODES,
                seed=settings.seed,
                rate=settings.rate,
                hours=settings.market_hours,
            )


def _may_be(code: str, settings: Settings, catalogue: Catalogue) -> bool:
    """Whether a code of the settings is known, or the upstream of a relay may know it."""
    if code in catalogue:
        return True
    relays = [one for one in settings.source if one.kind is SourceKind.ALLTICK]
    named = any(code in one.codes for one in relays) or code in settings.codes
    return bool(relays) and named and looks_like(family_of(code), code)


def _relay(settings: Settings, catalogue: Catalogue, codes: Collection[str]) -> Relay:
    plan = (BUILT_IN | settings.plans)[settings.upstream_plan]
    secret, file = settings.upstream_token, settings.upstream_token_file
    token: Callable[[], str] = str
    if file is not None:
        token = TokenFile(file)
    elif secret is not None:
        token = secret.get_secret_value
    terms = UpstreamPlan(
        connections=plan.connections,
        codes=plan.codes,
        connect_spacing=plan.connection_spacing,
        subscribe_spacing=0.0 if plan.subscriptions is None else plan.subscriptions.seconds,
        http_codes=plan.http_codes,
        rates=Rates(plan.endpoint, plan.batch_kline, plan.suspension, plan.http, plan.per_day),
    )
    url, network = settings.upstream_url, Network(settings.ca_file)
    try:
        network.check()
    except ValueError as error:
        raise SettingsError(f"--ca-file: {error}.") from None
    try:
        http_url(url, None)
    except ValueError as error:
        raise SettingsError(f"--upstream-url: {error}.") from None
    try:
        network.proxy_for(url)
    except ValueError as error:
        raise SettingsError(f"--upstream-url is reached by a proxy: {error}.") from None
    try:
        return Relay(
            catalogue,
            url,
            token=token,
            # What another server makes up must not end up among the vendor's bars.
            name="alltick" if url == VENDOR else f"alltick:{urlsplit(url).netloc}",
            plan=terms,
            keep=codes,
            silence=settings.upstream_silence,
            probe=url != VENDOR,
            network=network,
        )
    except ValueError as error:
        raise SettingsError(f"--upstream-url: {error}.") from None


def is_guarded(settings: Settings) -> bool:
    """Whether tokens are checked in that data directory. Raises StartError if it is unusable."""
    make_data_directory(settings.data_dir)
    with open_tokens(settings.data_dir / DATABASE) as tokens:
        return tokens.guarded()


def _replay(settings: Settings, catalogue: Catalogue) -> tuple[Catalogue, Replay]:
    if any(path.is_dir() for path in settings.file):
        return _replay_folder(settings, catalogue)
    if (settings.from_time, settings.to_time) != (None, None):
        raise SettingsError("--from-time and --to-time are for a folder that --record made, not for files.")
    only = None if settings.codes in ([], ["all"]) else frozenset(settings.codes)
    recording = Recording(settings.file, catalogue, only=only)
    scan = recording.scan(strict=settings.strict_input)
    names = ",".join(path.name for path in settings.file)
    if not scan.lines:
        raise InputError(f"Nothing to replay in {names}: no line of it can be read.")
    log.info(
        "recording read", files=names, lines=scan.lines, bad_lines=scan.bad_lines, codes=len(scan.decimals)
    )
    catalogue = widened(catalogue, scan, settings.quote_trades)
    health = Health(Status.UP)
    health.bad, health.crossed = scan.bad_lines, scan.crossed
    replay = Replay(
        names,
        Csv(recording, Mapper(catalogue, scan.traded, settings.quote_trades)),
        codes=sorted(scan.decimals),
        first_time=scan.first_time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        health=health,
    )
    return catalogue, replay


def _replay_folder(settings: Settings, catalogue: Catalogue) -> tuple[Catalogue, Replay]:
    """A replay of what a server recorded."""
    if len(settings.file) > 1:
        raise SettingsError("--file names a folder that was recorded into: it is replayed alone.")
    (folder,) = settings.file
    recordings = Recordings(folder)
    found = recordings.contents()
    every = settings.codes in ([], ["all"])
    codes = {code: one for code, one in found.codes.items() if every or code in settings.codes}
    if unknown := [code for code in codes if code not in catalogue]:
        raise InputError(f"{folder} holds {unknown[0]!r}, which is unknown here: add it with --instruments.")
    every_event = recordings.read(settings.from_time, settings.to_time, codes)
    fit = (
        one
        for one in every_event
        if event_fault(one.event, catalogue[one.event.code], Entrance.REPLAY) is None
    )
    first = next(fit, None)
    if first is None:
        raise InputError(f"Nothing to replay in {folder}: it holds no such code at that time.")
    log.info("recording read", folder=str(folder), trades=found.trades, books=found.books, codes=len(codes))
    decimals = {code: (one.price_decimals, one.volume_decimals) for code, one in codes.items()}
    catalogue = catalogue.widened(decimals)
    health = Health(Status.UP)
    judge = Judge(f"replay:{folder.name}", Entrance.REPLAY, catalogue, health)
    replay = Replay(
        folder.name,
        Folder(recordings, settings.from_time, settings.to_time, frozenset(codes), judge),
        codes=sorted(codes),
        first_time=first.event.time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        simulated=Simulator.name in found.sources,
        health=health,
    )
    return catalogue, replay


class Folder(NamedTuple):
    """What a server recorded, as a reel: from a moment up to another one, in milliseconds; what is fit of it,
    for a server that knew fewer rules may have recorded it."""

    recordings: Recordings
    start: int | None
    end: int | None
    codes: frozenset[str]
    judge: Judge

    def events(self) -> Iterator[tuple[int, list[Event]]]:
        """In the order in which they came."""
        found = self.recordings.read(self.start, self.end, self.codes)
        return ((one.event.time, [one.event]) for one in found if self.judge.passes(one.event))
