"""The composition root: an engine as the settings describe it, its source, its stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import structlog

from .bars import Bars
from .config import DATABASE, Settings, SourceName
from .engine import Engine
from .errors import InputError, SettingsError
from .klines import Rules
from .model import Catalogue, Event
from .sandbox import load_scenario
from .sources import DEFAULT_CODES, Csv, Mapper, Recording, Replay, Simulator, Source, widened
from .store import EpochFile, SqliteKlineStore, SuspensionStore, TokenStore, load_catalogue
from .store.recordings import Recorder, Recordings

log = structlog.get_logger()


def build(
    settings: Settings,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Engine:
    """The engine that the settings describe. Raises TickwireError if a file or a folder is unusable."""
    catalogue = load_catalogue(settings.instruments)
    if unknown := [code for code in settings.codes if code not in catalogue and settings.codes != ["all"]]:
        raise SettingsError(f"Unknown code {unknown[0]!r} in --codes. Add it with --instruments FILE.")
    scenarios = [load_scenario(name) for name in settings.scenario]
    source: Source
    if settings.source is SourceName.REPLAY:
        catalogue, source = _replay(settings, catalogue)
    else:
        codes = (
            [one.code for one in catalogue] if settings.codes == ["all"] else settings.codes or DEFAULT_CODES
        )
        source = Simulator(
            catalogue, codes, seed=settings.seed, rate=settings.rate, hours=settings.market_hours
        )
    engine = assemble(settings, catalogue, source, clock, wall)
    try:
        for scenario in scenarios:
            engine.scenarios.begin(scenario)
    except BaseException:
        engine.close()
        raise
    return engine


def assemble(
    settings: Settings,
    catalogue: Catalogue,
    source: Source,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Engine:
    """An engine on a source. Raises StartError if the data directory is unusable.

    `clock` is the monotonic clock, `wall` the time since the epoch that tokens and daily quotas go by, both
    in seconds.
    """
    epoch_file = EpochFile(settings.data_dir)
    replay = isinstance(source, Replay)
    store = SqliteKlineStore(None if replay and not settings.keep_bars else settings.data_dir / DATABASE)
    rules = Rules(int(settings.close_delay * 1000), int(settings.late_window * 1000))
    bars = Bars(source.name, store, rules, repeats=replay, flat=settings.flat_bars)
    database = settings.data_dir / DATABASE
    engine = Engine(
        settings,
        catalogue,
        source,
        epoch_file,
        bars,
        TokenStore(database),
        SuspensionStore(database),
        clock=clock,
        wall=wall,
    )
    if settings.record is not None:
        try:
            engine.recorder = Recorder(
                settings.record,
                source.name,
                keep_days=settings.record_keep_days,
                keep_bytes=settings.record_keep_bytes,
            )
        except BaseException:
            engine.close()
            raise
    return engine


def is_guarded(settings: Settings) -> bool:
    """Whether tokens are checked in that data directory. Raises StartError if it is unusable."""
    EpochFile(settings.data_dir)
    tokens = TokenStore(settings.data_dir / DATABASE)
    try:
        return bool(tokens.tokens())
    finally:
        tokens.close()


def _replay(settings: Settings, catalogue: Catalogue) -> tuple[Catalogue, Replay]:
    if any(path.is_dir() for path in settings.file):
        return _replay_folder(settings, catalogue)
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
    replay = Replay(
        names,
        Csv(recording, Mapper(catalogue, scan.traded, settings.quote_trades)),
        codes=sorted(scan.decimals),
        first_time=scan.first_time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
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
    first = next(recordings.read(settings.from_time, settings.to_time, codes), None)
    if first is None:
        raise InputError(f"Nothing to replay in {folder}: it holds no such code at that time.")
    log.info("recording read", folder=str(folder), trades=found.trades, books=found.books, codes=len(codes))
    decimals = {code: (one.price_decimals, one.volume_decimals) for code, one in codes.items()}
    catalogue = catalogue.widened(decimals)
    replay = Replay(
        folder.name,
        Folder(recordings, settings.from_time, settings.to_time, frozenset(codes)),
        codes=sorted(codes),
        first_time=first.event.time,
        speed=settings.speed,
        rebase=settings.rebase,
        hold=settings.hold,
        loop=settings.loop,
        simulated=Simulator.name in found.sources,
    )
    return catalogue, replay


class Folder(NamedTuple):
    """What a server recorded, as a reel: from a moment up to another one, in milliseconds."""

    recordings: Recordings
    start: int | None
    end: int | None
    codes: frozenset[str]

    def events(self) -> Iterator[tuple[int, list[Event]]]:
        """In the order in which they came."""
        found = self.recordings.read(self.start, self.end, self.codes)
        return ((one.event.time, [one.event]) for one in found)
