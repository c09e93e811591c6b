"""What the metrics tell of the market side: sources, recordings, the store, accounts upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Metric

from ..bus import Figures, SourceFigures
from ..sources import Status
from .families import counter, gauge
from .usage import upstream_uses


def source_families(figures: Figures, open_gaps: Mapping[str, int]) -> Iterator[Metric]:
    """How the sources are; `open_gaps` are by source, as far as they can be read."""

    def told(name: str, text: str, value: Callable[[SourceFigures], float | None]) -> Metric:
        return gauge(name, text, "source", [(one.name, value(one)) for one in figures.sources])

    def counted(name: str, text: str, value: Callable[[SourceFigures], float | None]) -> Metric:
        return counter(name, text, "source", [(one.name, value(one)) for one in figures.sources])

    statuses = [(one.name, status, one.status == status) for one in figures.sources for status in Status]
    yield gauge("source_status", "1 for what the source is, else 0.", "source status", statuses)
    yield told(
        "source_status_change_timestamp_seconds", "When the status changed.", lambda one: one.since / 1000
    )
    yield told(
        "source_lag_seconds",
        "From the source's time of its last event to its arrival; how late a simulator comes.",
        lambda one: None if one.lag_ms is None else one.lag_ms / 1000,
    )
    yield told(
        "source_clock_skew_seconds",
        "Our clock less the source's time of its events as they come, smoothed: below 0 its clock is ahead.",
        lambda one: None if one.skew_ms is None else one.skew_ms / 1000,
    )
    yield counted("source_events", "Events taken.", lambda one: one.events)
    yield counted("source_bad", "What could not be read, or was unfit.", lambda one: one.bad)
    yield counted("source_crossed", "Books taken whose bid was above their ask.", lambda one: one.crossed)
    yield counted("source_late", "Trades too late for their bars.", lambda one: one.late)
    yield counted(
        "source_dropped",
        "What came faster than it was taken or made, or with a number of long before.",
        lambda one: one.dropped,
    )
    yield counted(
        "source_renumbered",
        "Streams that upstream began to count anew on an open connection.",
        lambda one: one.renumbered,
    )
    yield counted(
        "source_unanswered_codes",
        "Codes of which upstream did not say over HTTP how they stand, each time.",
        lambda one: one.unanswered,
    )
    yield counted(
        "source_partial_answers",
        "Answers without bars that the source had not given yet.",
        lambda one: one.partial,
    )
    yield counted(
        "source_resumed",
        "Outages of a code whose trades came after all, late.",
        lambda one: one.resumed,
    )
    yield counted(
        "source_gaps",
        "Outages of a code whose trades did not come: its bars are filled from the source's history, if any.",
        lambda one: one.gaps,
    )
    yield told("source_open_gaps", "Gaps that have not ended.", lambda one: open_gaps.get(one.name))
    yield told(
        "source_learned_codes",
        "Codes that upstream has said what they are.",
        lambda one: one.unknown and one.unknown.learned,
    )
    yield told(
        "source_unknown_codes",
        "Codes that upstream is yet to say that of.",
        lambda one: one.unknown and one.unknown.waiting,
    )
    yield counted(
        "source_refused_codes",
        "Codes that upstream said it does not have.",
        lambda one: one.unknown and one.unknown.refused,
    )
    yield told(
        "recording",
        "1 while the source is recorded, 0 if that has stopped.",
        lambda one: one.recording,
    )
    yield counted(
        "recording_lost_events",
        "Events left out of the recording.",
        lambda one: None if one.recording is None else one.lost_events,
    )
    yield told(
        "recording_waiting_events",
        "Events that are not in the recording's journal yet.",
        lambda one: one.unwritten_events if one.recording else None,
    )
    yield told(
        "recording_lag_seconds",
        "For how long the oldest of them has waited, at most; 0 where none waits.",
        lambda one: one.unwritten_seconds if one.recording else None,
    )
    yield told(
        "store_waiting_bars",
        "Bars that wait to be written, in memory or in the spool.",
        lambda one: one.waiting_bars,
    )
    yield counted("store_lost_bars", "Bars let go of because too many waited.", lambda one: one.lost_bars)


def store_families(figures: Figures) -> Iterator[Metric]:
    """How calls of the store go."""
    calls = figures.store
    up = [(one.call, one.since is None) for one in calls]
    yield gauge("store_up", "1 while calls of the store work, else 0.", "call", up)
    failures = [(one.call, one.failures) for one in calls]
    yield counter("store_failures", "Calls of the store that failed.", "call", failures)
    waiting = [(one.call, one.waiting) for one in calls]
    yield gauge("store_waiting_calls", "Calls of the store that wait for their turn.", "call", waiting)


def upstream_families(figures: Figures) -> Iterator[Metric]:
    """What is used of accounts upstream."""
    uses = [*upstream_uses(figures)]
    quotas = [(name, one.name, one.requests, one.left) for name, use in uses for one in use.quotas]
    codes = [
        (name, one.family, one.kind.name.lower(), len(one.codes), one.most)
        for name, use in uses
        for one in use.codes
    ]
    connections = [
        (name, family, count, use.most_connections)
        for name, use in uses
        for family, count in use.connections.items()
    ]
    labels = "source limit"
    text = "Requests that the upstream plan allows."
    yield gauge("upstream_quota_requests", text, labels, [one[:3] for one in quotas])
    text = "Requests that are left of them now."
    yield gauge("upstream_quota_left_requests", text, labels, [(*one[:2], one[3]) for one in quotas])
    text = "Requests that wait for their turn."
    yield gauge("upstream_waiting_requests", text, "source", [(name, use.waiting) for name, use in uses])
    labels = "source family kind"
    yield gauge("upstream_codes", "Codes subscribed to upstream.", labels, [one[:4] for one in codes])
    text = "Codes that the upstream plan allows."
    yield gauge("upstream_codes_limit", text, labels, [(*one[:3], one[4]) for one in codes])
    labels = "source family"
    yield gauge("upstream_connections", "WebSockets upstream.", labels, [one[:3] for one in connections])
    text = "WebSockets that the upstream plan allows."
    yield gauge("upstream_connections_limit", text, labels, [(*one[:2], one[3]) for one in connections])
