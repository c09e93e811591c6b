"""How the sources of a market side are, and what they use upstream."""

from __future__ import annotations

from ..bus import SourceFigures, StoreFigures, Unknown
from ..sources.relay import Relay
from ..store import Database
from .feeds import Feed


def source_figures(feed: Feed) -> SourceFigures:
    """How a source is, and what is kept of it."""
    source, health, backfill = feed.source, feed.source.health, feed.missing.backfill
    recording = None if feed.recorder is None else feed.recorder.status()
    unknown = None
    if isinstance(source, Relay):
        finder = source.finder
        unknown = Unknown(finder.learned, finder.waiting, finder.refused)
    return SourceFigures(
        source.name,
        source.simulated,
        health.status,
        health.since,
        health.reason,
        health.lag,
        feed.events,
        health.bad,
        health.crossed,
        feed.bars.late,
        health.dropped,
        health.renumbered,
        None if health.upstream is None else health.unanswered,
        None if backfill is None else backfill.partial,
        feed.batches.waiting,
        feed.batches.lost,
        None if recording is None else recording.recording,
        0 if recording is None else recording.lost,
        unknown,
        None if health.upstream is None else health.upstream(),
        health.skew,
        0 if recording is None else recording.waiting,
        0.0 if recording is None else recording.lag,
        feed.missing.resumed if source.live else None,
        feed.missing.gaps if source.live else None,
    )


def store_figures(database: Database) -> tuple[StoreFigures, ...]:
    """How its calls go."""
    calls = (
        ("write", database.writes, database.waiting_writes),
        ("read", database.reads, database.waiting_reads),
    )
    return tuple(StoreFigures(name, one.since, one.reason, one.failures, left) for name, one, left in calls)
