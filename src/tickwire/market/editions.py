"""Bars as client sides read them: once for all who ask at the same time."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

from ..bus import Edition, Klines, Lack
from ..model import Catalogue, Instrument, Kline, KlineType
from .feeds import Feed, Feeds
from .supply import Supply


class Query(NamedTuple):
    """What is read of a source."""

    feed: Feed
    instrument: Instrument
    kline_type: KlineType
    most: int
    end: int | None


class Editions:
    """Reads bars, and says which they are, so that nobody needs to be given the same ones again."""

    def __init__(self, catalogue: Catalogue, feeds: Feeds, supply: Supply) -> None:
        self._catalogue = catalogue
        self._feeds = feeds
        self._supply = supply
        self._reading: dict[Query, asyncio.Task[Klines]] = {}

    async def klines(
        self,
        instrument: Instrument,
        kline_type: KlineType,
        *,
        count: int,
        end: int | None,
        edition: Edition | None = None,
    ) -> Klines:
        """See `bus.Supplier`."""
        lacks = await self._supply.prepare_bars(instrument, kline_type, count=count, end=end)
        instrument = self._catalogue[instrument.code]  # what has come of it may have more decimals
        query = Query(self._feeds.of(instrument), instrument, kline_type, count, end)
        now = _klines(query, None, lacks)
        if now.edition == edition:
            return now
        reading = self._reading.get(query)
        if reading is None:
            reading = self._reading[query] = asyncio.create_task(self._read(query))
            reading.add_done_callback(partial(self._done, query))
        found = await asyncio.shield(reading)
        return found if lacks is None or found.lacks else found._replace(lacks=lacks)

    async def _read(self, query: Query) -> Klines:
        feed, instrument, kline_type, most, end = query
        bars, partly = await feed.bars.read(instrument, kline_type, count=most, end=end)
        return _klines(query, bars, Lack.STORE if partly else None)

    def _done(self, query: Query, reading: asyncio.Task[Klines]) -> None:
        del self._reading[query]
        if not reading.cancelled():
            reading.exception()  # which those who asked are told, if they are there still


def _klines(query: Query, bars: list[Kline] | None, lacks: Lack | None) -> Klines:
    """An answer, with the bar that forms and the edition of this moment."""
    kept, asked = query.feed.bars, (query.instrument, query.kline_type)
    forming = kept.forming(*asked)
    edition = query.feed.source.name, kept.version(*asked), -1 if forming is None else forming.time
    return Klines(bars, forming, edition, lacks)
