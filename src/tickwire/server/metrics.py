"""What Prometheus is told at /metrics: read from the engine when it asks, so that ticks cost nothing more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..engine import Engine
from ..errors import StoreError
from ..model import Family
from ..sources import Status


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
        names = [feed.source.name for feed in self._engine.feeds]
        return {name: len(self._engine.gaps.open_gaps(name)) for name in names}

    def collect(self) -> Iterator[Metric]:
        """Names by Prometheus' conventions: base units, counters as `_total`."""
        engine = self._engine
        yield InfoMetricFamily("tickwire_build", "The program.", {"version": __version__})
        yield CounterMetricFamily("tickwire_events", "Events of all sources.", engine.events)
        yield from self._sources()
        yield from self._codes()
        yield from self._recordings()
        yield from self._store()
        families = Counter(caller.client.family for caller in engine.callers.values())
        connections = GaugeMetricFamily("tickwire_connections", "Open WebSockets.", labels=["family"])
        for family in Family:
            connections.add_metric([family], families[family])
        yield connections
        codes = GaugeMetricFamily(
            "tickwire_subscribed_codes",
            "Codes whose trades (or bars) or books somebody is subscribed to.",
            labels=["kind"],
        )
        for kind, instruments in engine.hub.wanted().items():
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
        for feed in self._engine.feeds:
            waiting.add_metric([feed.source.name], feed.bars.waiting)
            lost.add_metric([feed.source.name], feed.bars.lost)
        yield from (waiting, lost)

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
            "tickwire_source_dropped", "What came faster than it was taken.", labels=labels
        )
        gaps = GaugeMetricFamily("tickwire_source_open_gaps", "Gaps that have not ended.", labels=labels)
        for feed in self._engine.feeds:
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
            if name in self._open_gaps:
                gaps.add_metric([name], self._open_gaps[name])
        yield from (status, changed, lag, events, bad, crossed, late, dropped, gaps)

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
        discovery = self._engine.discovery
        for name, finder in discovery.finders():
            learned.add_metric([name], finder.learned)
            waiting.add_metric([name], finder.waiting)
            refused.add_metric([name], finder.refused)
        yield from (learned, waiting, refused)
        yield CounterMetricFamily(
            "tickwire_unknown_codes_turned_away",
            "Unknown codes that upstream was not asked about: too many.",
            discovery.turned_away,
        )

    def _recordings(self) -> Iterator[Metric]:
        recording = GaugeMetricFamily(
            "tickwire_recording", "1 while the source is recorded, 0 if that has stopped.", labels=["source"]
        )
        lost = CounterMetricFamily(
            "tickwire_recording_lost_events", "Events left out of the recording.", labels=["source"]
        )
        for feed in self._engine.feeds:
            if feed.recorder is not None:
                standing = feed.recorder.status()
                recording.add_metric([feed.source.name], standing.recording)
                lost.add_metric([feed.source.name], standing.lost)
        yield from (recording, lost)
