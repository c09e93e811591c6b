"""What Prometheus is told at /metrics: read when it asks, so that ticks cost next to nothing more.

Where a server has several processes, what is of a process is told of each, with its name as the label
`worker`; what is of the market side, or of all, stands once.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from prometheus_client import Metric
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__
from ..assembly import Engine, GatewayEngine
from ..bus import Figures
from ..errors import StoreError
from .client_metrics import (
    connection_families,
    push_families,
    slow_families,
    token_counters,
    token_gauges,
    traffic_families,
)
from .families import Family, counter, gauge, joined, passed
from .market_metrics import source_families, store_families, upstream_families
from .peers import Peers
from .process_metrics import ProcessMetrics
from .usage import MARKET_WAIT, Use, own_uses, together, told_uses
from .vitals import Vitals

BUILD = {"version": __version__, "python": platform.python_version()}
METRICS = "metrics"
"""What a process is asked for its part."""


class Part(msgspec.Struct, array_like=True):
    """What a process tells of itself, and the use of tokens there."""

    families: list[Family]
    uses: list[Use]


_part = msgspec.msgpack.Decoder(Part).decode


class Metrics:
    """The metrics of a server, in no registry but this one."""

    def __init__(self, engine: Engine | GatewayEngine, vitals: Vitals, peers: Peers) -> None:
        self._engine = engine
        self._vitals = vitals
        self._peers = peers
        self._process = ProcessMetrics(vitals.lag)
        engine.gateway.sayings.by_question[METRICS] = self._said

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type, by what the `Accept` header says."""
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # it names a version that is no number
            encode, content_type = choose_encoder("")
        reads = self._engine.gateway.reads
        (families, uses), others, figures, open_gaps = await asyncio.gather(
            self._own(), self._peers.ask(METRICS), reads.figures(), self._open_gaps()
        )
        parts = {name: _part(body) for name, body in others.items() if body is not None}
        told: list[Metric] = [InfoMetricFamily("tickwire_build", "The program.", BUILD)]
        told += _of_market(figures, open_gaps)
        if self._peers.names:
            parts[self._peers.own] = Part([passed(one) for one in families], uses)
            told += self._of_each(parts)
        else:
            told += families
        all_uses = together([uses, *(one.uses for name, one in parts.items() if name != self._peers.own)])
        asked = reads if self._peers.has_market else None
        told += token_gauges(await told_uses(asked, all_uses))
        return encode(Scrape(told)), content_type

    def _of_each(self, parts: Mapping[str, Part]) -> Iterator[Metric]:
        names = self._peers.names
        text = "1 for a process of the server that answers, else 0."
        yield gauge("worker_up", text, "worker", [(name, name in parts) for name in names])
        yield from joined((name, one) for name in names if name in parts for one in parts[name].families)

    async def _open_gaps(self) -> dict[str, int]:
        """By source, as far as they can be read."""
        try:
            async with asyncio.timeout(MARKET_WAIT):
                return await self._engine.gateway.reads.open_gaps()
        except (StoreError, TimeoutError):  # which has been said
            return {}

    async def _own(self) -> tuple[list[Metric], list[Use]]:
        """What is of this process."""
        gateway, (_, traffic, guests, unread) = self._engine.gateway, self._vitals
        uses = await own_uses(gateway)
        ready = self._engine.running and not gateway.draining and not guests.acceptance.full
        families = [
            gauge("ready", "1 while the server is ready, as /readyz says, else 0.", "", [(ready,)]),
            *push_families(gateway, traffic, uses),
            *traffic_families(traffic),
            *connection_families(guests),
            *slow_families(gateway, unread),
            *token_counters(uses),
            *await self._process.families(),
        ]
        return families, uses

    async def _said(self, _: str) -> bytes:
        families, uses = await self._own()
        return msgspec.msgpack.encode(Part([passed(one) for one in families], uses))


class Scrape(Collector):
    """The families. Their names are by Prometheus' conventions."""

    def __init__(self, told: Iterable[Metric]) -> None:
        self._told = told

    def collect(self) -> Iterable[Metric]:
        """All metrics."""
        return self._told


def _of_market(figures: Figures, open_gaps: Mapping[str, int]) -> Iterator[Metric]:
    yield counter("events", "Events of all sources.", "", [(figures.events,)])
    yield from source_families(figures, open_gaps)
    yield from store_families(figures)
    yield from upstream_families(figures)
