"""What Prometheus is told at /metrics: read when it asks, so that ticks cost nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..bus import Figures, SourceFigures
from ..errors import StoreError
from ..gateway.gateway import Gateway
from ..model import Family
from ..sources import Status
from ..wire.overview import TokenUse
from .usage import token_uses, upstream_uses


class Metrics:
    """The metrics of a server, in no registry but this one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type, by what the `Accept` header says."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it names a version that is no number
            encode, content_type = choose_encoder("")
        try:
            open_gaps = await self._gateway.reads.open_gaps()
        except StoreError:  # which has been said
            open_gaps = {}
        figures, tokens = await self._gateway.reads.figures(), await token_uses(self._gateway)
        return encode(Scrape(self._gateway, figures, tokens, open_gaps)), content_type


class Scrape(Collector):
    """All that is told at a time. Names are by Prometheus' conventions: base units, counters as `_total`."""

    def __init__(
        self, gateway: Gateway, figures: Figures, tokens: list[TokenUse], open_gaps: dict[str, int]
    ) -> None:
        """`open_gaps` are by source, as far as they can be read."""
        self._gateway = gateway
        self._figures = figures
        self._token_uses = tokens
        self._open_gaps = open_gaps

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield InfoMetricFamily("tickwire_build", "The program.", {"version": __version__})
        yield CounterMetricFamily("tickwire_events", "Events of all sources.", self._figures.events)
        yield from self._sources()
        yield from self._store()
        yield from self._upstream()
        yield from self._tokens()
        turned_away = "Unknown codes that upstream was not asked about: too many."
        yield _counter("unknown_codes_turned_away", turned_away, "", [(self._gateway.seeking.turned_away,)])
        callers = self._gateway.callers.values()
        families = Counter(caller.client.family for caller in callers)
        open_ones = [(family, families[family]) for family in Family]
        yield _gauge("connections", "Open WebSockets.", "family", open_ones)
        wanted = self._gateway.hub.wanted().items()
        text = "Codes whose trades (or bars) or books somebody is subscribed to."
        codes = [(kind.name.lower(), len(instruments)) for kind, instruments in wanted]
        yield _gauge("subscribed_codes", text, "kind", codes)

    def _sources(self) -> Iterator[Metric]:
        def gauge(name: str, text: str, value: Callable[[SourceFigures], float | None]) -> Metric:
            return _gauge(name, text, "source", [(one.name, value(one)) for one in self._figures.sources])

        def counter(name: str, text: str, value: Callable[[SourceFigures], float | None]) -> Metric:
            return _counter(name, text, "source", [(one.name, value(one)) for one in self._figures.sources])

        statuses = [
            (one.name, status, one.status == status) for one in self._figures.sources for status in Status
        ]
        yield _gauge("source_status", "1 for what the source is, else 0.", "source status", statuses)
        yield gauge(
            "source_status_change_timestamp_seconds", "When the status changed.", lambda one: one.since / 1000
        )
        yield gauge(
            "source_lag_seconds",
            "From the source's time of its last event to its arrival; of live sources.",
            lambda one: None if one.lag_ms is None else one.lag_ms / 1000,
        )
        yield counter("source_events", "Events taken.", lambda one: one.events)
        yield counter("source_bad", "What could not be read, or was unfit.", lambda one: one.bad)
        yield counter("source_crossed", "Books taken whose bid was above their ask.", lambda one: one.crossed)
        yield counter("source_late", "Trades too late for their bars.", lambda one: one.late)
        yield counter(
            "source_dropped",
            "What came faster than it was taken, or with a number of long before.",
            lambda one: one.dropped,
        )
        yield counter(
            "source_renumbered",
            "Streams that upstream began to count anew on an open connection.",
            lambda one: one.renumbered,
        )
        yield counter(
            "source_unanswered_codes",
            "Codes of which upstream did not say over HTTP how they stand, each time.",
            lambda one: one.unanswered,
        )
        yield counter(
            "source_partial_answers",
            "Answers without bars that the source had not given yet.",
            lambda one: one.partial,
        )
        yield gauge(
            "source_open_gaps", "Gaps that have not ended.", lambda one: self._open_gaps.get(one.name)
        )
        yield gauge(
            "source_learned_codes",
            "Codes that upstream has said what they are.",
            lambda one: one.unknown and one.unknown.learned,
        )
        yield gauge(
            "source_unknown_codes",
            "Codes that upstream is yet to say that of.",
            lambda one: one.unknown and one.unknown.waiting,
        )
        yield counter(
            "source_refused_codes",
            "Codes that upstream said it does not have.",
            lambda one: one.unknown and one.unknown.refused,
        )
        yield gauge(
            "recording",
            "1 while the source is recorded, 0 if that has stopped.",
            lambda one: one.recording,
        )
        yield counter(
            "recording_lost_events",
            "Events left out of the recording.",
            lambda one: None if one.recording is None else one.lost_events,
        )
        yield gauge(
            "store_waiting_bars", "Bars in memory that wait to be written.", lambda one: one.waiting_bars
        )
        yield counter("store_lost_bars", "Bars let go of because too many waited.", lambda one: one.lost_bars)

    def _store(self) -> Iterator[Metric]:
        calls = self._figures.store
        up = [(one.call, one.since is None) for one in calls]
        yield _gauge("store_up", "1 while calls of the store work, else 0.", "call", up)
        failures = [(one.call, one.failures) for one in calls]
        yield _counter("store_failures", "Calls of the store that failed.", "call", failures)

    def _upstream(self) -> Iterator[Metric]:
        uses = [*upstream_uses(self._figures)]
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
        yield _gauge("upstream_quota_requests", text, labels, [one[:3] for one in quotas])
        text = "Requests that are left of them now."
        yield _gauge("upstream_quota_left_requests", text, labels, [(*one[:2], one[3]) for one in quotas])
        text = "Requests that wait for their turn."
        yield _gauge("upstream_waiting_requests", text, "source", [(name, use.waiting) for name, use in uses])
        labels = "source family kind"
        yield _gauge("upstream_codes", "Codes subscribed to upstream.", labels, [one[:4] for one in codes])
        text = "Codes that the upstream plan allows."
        yield _gauge("upstream_codes_limit", text, labels, [(*one[:3], one[4]) for one in codes])
        labels = "source family"
        yield _gauge("upstream_connections", "WebSockets upstream.", labels, [one[:3] for one in connections])
        text = "WebSockets that the upstream plan allows."
        yield _gauge("upstream_connections_limit", text, labels, [(*one[:2], one[3]) for one in connections])

    def _tokens(self) -> Iterator[Metric]:
        uses = self._token_uses
        text = "Requests over HTTP that passed the token's plan."
        yield _counter("token_requests", text, "token", [(one.token, one.requests) for one in uses])
        text = "Requests over HTTP that came too fast."
        yield _counter("token_refused_requests", text, "token", [(one.token, one.refused) for one in uses])
        yield _counter("token_pushes", "Events pushed.", "token", [(one.token, one.pushes) for one in uses])
        yield _gauge("token_codes", "Codes subscribed to.", "token", [(one.token, one.codes) for one in uses])
        text = "Those of them that have no place upstream."
        yield _gauge("token_codes_without_place", text, "token", [(one.token, one.without) for one in uses])


def _gauge(name: str, text: str, labels: str, rows: Iterable[tuple[Any, ...]]) -> Metric:
    """Each row holds the values of the labels, and what is told, None for nothing."""
    return _filled(GaugeMetricFamily(f"tickwire_{name}", text, labels=labels.split()), rows)


def _counter(name: str, text: str, labels: str, rows: Iterable[tuple[Any, ...]]) -> Metric:
    return _filled(CounterMetricFamily(f"tickwire_{name}", text, labels=labels.split()), rows)


def _filled(metric: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, value in rows:
        if value is not None:
            metric.add_metric(labels, value)
    return metric
