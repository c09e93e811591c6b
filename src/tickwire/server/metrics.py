"""What Prometheus is told at /metrics: read when it asks, so that ticks cost next to nothing more."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import Metric, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..assembly import Engine, GatewayEngine
from ..bus import Figures
from ..errors import StoreError
from ..wire.overview import TokenUse
from .client_metrics import (
    connection_families,
    push_families,
    slow_families,
    token_families,
    traffic_families,
)
from .families import counter, gauge, histogram
from .market_metrics import source_families, store_families, upstream_families
from .usage import token_uses
from .vitals import Vitals

BUILD = {"version": __version__, "python": platform.python_version()}


class Metrics:
    """The metrics of a server, in no registry but this one."""

    def __init__(self, engine: Engine | GatewayEngine, vitals: Vitals) -> None:
        self._engine = engine
        self._vitals = vitals
        self._process = ProcessCollector(registry=None)

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type, by what the `Accept` header says."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it names a version that is no number
            encode, content_type = choose_encoder("")
        gateway = self._engine.gateway
        try:
            open_gaps = await gateway.reads.open_gaps()
        except StoreError:  # which has been said
            open_gaps = {}
        process = await asyncio.to_thread(self._of_process)  # it counts all open files
        figures, uses = await gateway.reads.figures(), await token_uses(gateway)
        told = Told(self._engine, self._vitals, figures, uses, open_gaps, process)
        return encode(Scrape(told)), content_type

    def _of_process(self) -> list[Metric]:
        try:
            return [*self._process.collect()]
        except ValueError:  # where files have no limit
            return []


class Told(NamedTuple):
    """All that is told at a time; `open_gaps` are by source, as far as they can be read."""

    engine: Engine | GatewayEngine
    vitals: Vitals
    figures: Figures
    uses: list[TokenUse]
    open_gaps: dict[str, int]
    process: list[Metric]


class Scrape(Collector):
    """The families. Their names are by Prometheus' conventions."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        told, (lag, traffic, guests, unread) = self._told, self._told.vitals
        ready = told.engine.running and not told.engine.gateway.draining and not guests.acceptance.full
        yield InfoMetricFamily("tickwire_build", "The program.", BUILD)
        yield gauge("ready", "1 while the server is ready, as /readyz says, else 0.", "", [(ready,)])
        yield counter("events", "Events of all sources.", "", [(told.figures.events,)])
        yield histogram("loop_lag_seconds", "How late the event loop came to a timer.", "", [(lag.lags,)])
        yield counter("loop_blocked", "Times that the loop was blocked.", "", [(lag.blocked,)])
        yield from source_families(told.figures, told.open_gaps)
        yield from store_families(told.figures)
        yield from upstream_families(told.figures)
        yield from push_families(told.engine.gateway, traffic, told.uses)
        yield from traffic_families(traffic)
        yield from connection_families(guests)
        yield from slow_families(told.engine.gateway, unread)
        yield from token_families(told.uses)
        yield from told.process
