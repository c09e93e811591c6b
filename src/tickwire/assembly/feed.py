"""A source with all that belongs to it: its bars, what is missing of them, its recording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import NamedTuple

from ..config import VENDOR, Settings
from ..klines import Closed, Rules, Tape
from ..machine import Machine
from ..market.bars import FLOOR, Archive, Bars, Batches, Pasts, Retention, TapeNotes
from ..market.feeds import Feed
from ..market.missing import Backfill, Depths, Filling, Ledger, Missing
from ..model import Catalogue
from ..sources import (
    LAST,
    PUBLISHER,
    Published,
    Replay,
    Simulator,
    Source,
)
from ..sources.relay import Relay
from ..store import (
    Backlog,
    Database,
    GapStore,
    KlineStore,
)
from ..store.recordings import Recorder

RECORDING = "recording"
"""The note that says which recording is kept beside the bars of what is published."""


class Kept(NamedTuple):
    """What the bars of all feeds are kept in, and what makes those that are made up."""

    store: KlineStore
    database: Database
    gaps: GapStore
    gap_entries: Backlog
    maker: Executor


def feed_of(
    settings: Settings,
    catalogue: Catalogue,
    source: Source,
    codes: Collection[str],
    recorder: Recorder | None,
    kept: Kept,
    revised: Callable[[Feed, Iterable[Closed]], None],
    wall: Callable[[], float],
) -> Feed:
    """A source with all that belongs to it. `revised` is called with closed bars that are others now; `wall`
    is in seconds since the epoch."""

    def tell(closed: Iterable[Closed]) -> None:
        revised(feed, closed)

    publishers, tape, tape_notes, last = None, None, None, None
    if isinstance(source, Published):
        _restore(source, recorder, kept.store)
        publishers, tape, last = source.publishers, source.tape, source.last
        tape_notes = TapeNotes(tape, wall)
        notes = kept.store.notes(source.name, FLOOR)
        tape_notes.restore(notes, source.restore_correction, other_bars=bool(kept.store.codes(source.name)))
    elif isinstance(source, Replay) and source.corrected:
        tape = Tape(catalogue)
    elif isinstance(source, Relay) and settings.upstream_url != VENDOR:
        tape = Tape(catalogue, live=True)
    rules = Rules(
        int(settings.close_delay * 1000),
        int(settings.late_window * 1000),
        by_clock=not isinstance(source, Replay),
    )
    repeats = isinstance(source, Replay) and settings.keep_bars
    archive = Archive(
        source.name,
        kept.store,
        kept.database,
        publishers,
        tape_notes,
        last,
        clock=wall,
        shared=bool(settings.bus),
    )
    if isinstance(source, Simulator):
        source.counted = archive.codes
    bars = Bars(
        archive,
        rules,
        tell,
        repeats=repeats,
        flat=settings.flat_bars,
        begins_before=source.begins_before if isinstance(source, Simulator) else lambda _: False,
        on_clock=isinstance(source, Published) or (isinstance(source, Simulator) and not source.is_virtual),
        tape=tape,
    )
    if tape_notes is not None:
        bars.go_on(catalogue)
    batches = Batches(archive, bars)
    pasts = Pasts(source.past, archive, bars, batches, kept.maker)
    retention = Retention(settings.retention, archive, bars, pasts, clock=wall)
    ledger, backfill = Ledger(source, kept.gaps, kept.gap_entries), None
    if source.history is not None:
        depths = Depths(archive)
        filling = Filling(source, source.history, archive, bars, depths)
        backfill = Backfill(source, bars, depths, filling, ledger, tell)
    missing = Missing(source, bars, catalogue, ledger, backfill)
    feed = Feed(source, bars, batches, pasts, retention, missing, recorder, codes or None)
    return feed


def recorder_of(
    settings: Settings, folder: Path, source: Source, machine: Machine, *, alone: bool
) -> Recorder:
    """What records a source: each of several into a folder of its own, and each node of a cluster."""
    if settings.bus:
        folder = folder / settings.node_name
    return Recorder(
        folder if alone else folder / source.name.replace(":", "-"),
        source.name,
        lines=isinstance(source, Published),
        clock=machine.wall,
        keep_days=settings.record_keep_days,
        keep_bytes=settings.record_keep_bytes,
    )


def _restore(published: Published, recorder: Recorder | None, store: KlineStore) -> None:
    """Publishers go on where they were, in the bars and in the recording that was kept beside them, and what
    they published last is shown again."""
    name, recording = published.name, ""
    if recorder is not None:
        recording = recorder.follow(store.get(name, RECORDING))
        store.put(name, RECORDING, recording)
    published.publishers.restore(store.notes(name, PUBLISHER), recorder, recording)
    published.restore_last(store.notes(name, LAST))
    published.presence.restore({*store.codes(name), *published.last.codes}, published.market_time())
