"""What Prometheus is told at /metrics: read from the engine when it asks, so that ticks cost nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..assembly import Engine
from ..errors import StoreError
from ..model import Family
from ..sources import Status
from .usage import token_uses, upstream_uses


class Metrics(Collector):
    """The metrics of a server, in no registry but this one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open_gaps: dict[str, int] = {}  # by source, as far as they can be read

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type, by what the `Accept` header says."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it names a version that is no number
            encode, content_type = choose_encoder("")
        try:
            self._open_gaps = await self._engine.database.read(self._count_gaps)
        except StoreError:  # which has been said
            self._open_gaps = {}
        return encode(self), content_type

    def _count_gaps(self) -> dict[str, int]:
        names = [feed.source.name for feed in self._engine.market.feeds]
        return {name: len(self._engine.market.gaps.open_gaps(name)) for name in names}

    def collect(self) -> Iterator[Metric]:
        """Names by Prometheus' conventions: base units, counters as `_total`."""
        engine = self._engine
        yield InfoMetricFamily("tickwire_build", "The program.", {"version": __version__})
        yield CounterMetricFamily("tickwire_events", "Events of all sources.", engine.market.events)
        yield from self._sources()
        yield from self._codes()
        yield from self._recordings()
        yield from self._store()
        yield from self._upstream()
        yield from self._tokens()
        families = Counter(caller.client.family for caller in engine.gateway.callers.values())
        connections = GaugeMetricFamily("tickwire_connections", "Open WebSockets.", labels=["family"])
        for family in Family:
            connections.add_metric([family], families[family])
        yield connections
        codes = GaugeMetricFamily(
            "tickwire_subscribed_codes",
            "Codes whose trades (or bars) or books somebody is subscribed to.",
            labels=["kind"],
        )
        for kind, instruments in engine.gateway.hub.wanted().items():
            codes.add_metric([kind.name.lower()], len(instruments))
        yield codes

    def _store(self) -> Iterator[Metric]:
        database = self._engine.database
        well = GaugeMetricFamily(
            "tickwire_store_up", "1 while calls of the store work, else 0.", labels=["call"]
        )
        failures = CounterMetricFamily(
            "tickwire_store_failures", "Calls of the store that failed.", labels=["call"]
        )
        for name, access in (("write", database.writes), ("read", database.reads)):
            well.add_metric([name], access.since is None)
            failures.add_metric([name], access.failures)
        yield from (well, failures)
        waiting = GaugeMetricFamily(
            "tickwire_store_waiting_bars", "Bars in memory that wait to be written.", labels=["source"]
        )
        lost = CounterMetricFamily(
            "tickwire_store_lost_bars", "Bars let go of because too many waited.", labels=["source"]
        )
        for feed in self._engine.market.feeds:
            waiting.add_metric([feed.source.name], feed.batches.waiting)
            lost.add_metric([feed.source.name], feed.batches.lost)
        yield from (waiting, lost)

    def _upstream(self) -> Iterator[Metric]:
        labels = ["source", "limit"]
        most = GaugeMetricFamily(
            "tickwire_upstream_quota_requests", "Requests that the upstream plan allows.", labels=labels
        )
        left = GaugeMetricFamily(
            "tickwire_upstream_quota_left_requests", "Requests that are left of them now.", labels=labels
        )
        waiting = GaugeMetricFamily(
            "tickwire_upstream_waiting_requests", "Requests that wait for their turn.", labels=["source"]
        )
        labels = ["source", "family", "kind"]
        codes = GaugeMetricFamily("tickwire_upstream_codes", "Codes subscribed to upstream.", labels=labels)
        most_codes = GaugeMetricFamily(
            "tickwire_upstream_codes_limit", "Codes that the upstream plan allows.", labels=labels
        )
        labels = ["source", "family"]
        connections = GaugeMetricFamily(
            "tickwire_upstream_connections", "WebSockets upstream.", labels=labels
        )
        most_connections = GaugeMetricFamily(
            "tickwire_upstream_connections_limit", "WebSockets that the upstream plan allows.", labels=labels
        )
        for name, use in upstream_uses(self._engine):
            for quota in use.quotas:
                most.add_metric([name, quota.name], quota.requests)
                left.add_metric([name, quota.name], quota.left)
            waiting.add_metric([name], use.waiting)
            for one in use.codes:
                labels = [name, one.family, one.kind.name.lower()]
                codes.add_metric(labels, len(one.codes))
                if one.most is not None:
                    most_codes.add_metric(labels, one.most)
            for family, count in use.connections.items():
                connections.add_metric([name, family], count)
                if use.most_connections is not None:
                    most_connections.add_metric([name, family], use.most_connections)
        yield from (most, left, waiting, codes, most_codes, connections, most_connections)

    def _tokens(self) -> Iterator[Metric]:
        labels = ["token"]
        requests = CounterMetricFamily(
            "tickwire_token_requests", "Requests over HTTP that passed the token's plan.", labels=labels
        )
        refused = CounterMetricFamily(
            "tickwire_token_refused_requests", "Requests over HTTP that came too fast.", labels=labels
        )
        pushes = CounterMetricFamily("tickwire_token_pushes", "Events pushed.", labels=labels)
        codes = GaugeMetricFamily("tickwire_token_codes", "Codes subscribed to.", labels=labels)
        without = GaugeMetricFamily(
            "tickwire_token_codes_without_place", "Those of them that have no place upstream.", labels=labels
        )
        for use in token_uses(self._engine):
            requests.add_metric([use.token], use.requests)
            refused.add_metric([use.token], use.refused)
            pushes.add_metric([use.token], use.pushes)
            codes.add_metric([use.token], use.codes)
            without.add_metric([use.token], use.without)
        yield from (requests, refused, pushes, codes, without)

    def _sources(self) -> Iterator[Metric]:
        labels = ["source"]
        status = GaugeMetricFamily(
            "tickwire_source_status", "1 for what the source is, else 0.", labels=["source", "status"]
        )
        changed = GaugeMetricFamily(
            "tickwire_source_status_change_timestamp_seconds", "When the status changed.", labels=labels
        )
        lag = GaugeMetricFamily(
            "tickwire_source_lag_seconds",
            "From the source's time of its last event to its arrival; of live sources.",
            labels=labels,
        )
        events = CounterMetricFamily("tickwire_source_events", "Events taken.", labels=labels)
        bad = CounterMetricFamily(
            "tickwire_source_bad", "What could not be read, or was unfit.", labels=labels
        )
        crossed = CounterMetricFamily(
            "tickwire_source_crossed", "Books taken whose bid was above their ask.", labels=labels
        )
        late = CounterMetricFamily("tickwire_source_late", "Trades too late for their bars.", labels=labels)
        dropped = CounterMetricFamily(
            "tickwire_source_dropped",
            "What came faster than it was taken, or with a number of long before.",
            labels=labels,
        )
        renumbered = CounterMetricFamily(
            "tickwire_source_renumbered",
            "Streams that upstream began to count anew on an open connection.",
            labels=labels,
        )
        unanswered = CounterMetricFamily(
            "tickwire_source_unanswered_codes",
            "Codes of which upstream did not say over HTTP how they stand, each time.",
            labels=labels,
        )
        partial = CounterMetricFamily(
            "tickwire_source_partial_answers",
            "Answers without bars that the source had not given yet.",
            labels=labels,
        )
        gaps = GaugeMetricFamily("tickwire_source_open_gaps", "Gaps that have not ended.", labels=labels)
        for feed in self._engine.market.feeds:
            name, health = feed.source.name, feed.source.health
            for one in Status:
                status.add_metric([name, one], one is health.status)
            changed.add_metric([name], health.since / 1000)
            if health.lag is not None:
                lag.add_metric([name], health.lag / 1000)
            events.add_metric([name], feed.events)
            bad.add_metric([name], health.bad)
            crossed.add_metric([name], health.crossed)
            late.add_metric([name], feed.bars.late)
            dropped.add_metric([name], health.dropped)
            renumbered.add_metric([name], health.renumbered)
            if health.upstream is not None:
                unanswered.add_metric([name], health.unanswered)
            if (backfill := feed.missing.backfill) is not None:
                partial.add_metric([name], backfill.partial)
            if name in self._open_gaps:
                gaps.add_metric([name], self._open_gaps[name])
        yield from (
            status,
            changed,
            lag,
            events,
            bad,
            crossed,
            late,
            dropped,
            renumbered,
            unanswered,
            partial,
            gaps,
        )

    def _codes(self) -> Iterator[Metric]:
        """Codes that no catalogue has."""
        labels = ["source"]
        learned = GaugeMetricFamily(
            "tickwire_source_learned_codes", "Codes that upstream has said what they are.", labels=labels
        )
        waiting = GaugeMetricFamily(
            "tickwire_source_unknown_codes", "Codes that upstream is yet to say that of.", labels=labels
        )
        refused = CounterMetricFamily(
            "tickwire_source_refused_codes", "Codes that upstream said it does not have.", labels=labels
        )
        discovery = self._engine.market.discovery
        for name, finder in discovery.finders():
            learned.add_metric([name], finder.learned)
            waiting.add_metric([name], finder.waiting)
            refused.add_metric([name], finder.refused)
        yield from (learned, waiting, refused)
        yield CounterMetricFamily(
            "tickwire_unknown_codes_turned_away",
            "Unknown codes that upstream was not asked about: too many.",
            self._engine.gateway.seeking.turned_away,
        )

    def _recordings(self) -> Iterator[Metric]:
        recording = GaugeMetricFamily(
            "tickwire_recording", "1 while the source is recorded, 0 if that has stopped.", labels=["source"]
        )
        lost = CounterMetricFamily(
            "tickwire_recording_lost_events", "Events left out of the recording.", labels=["source"]
        )
        for feed in self._engine.market.feeds:
            if feed.recorder is not None:
                standing = feed.recorder.status()
                recording.add_metric([feed.source.name], standing.recording)
                lost.add_metric([feed.source.name], standing.lost)
        yield from (recording, lost)
