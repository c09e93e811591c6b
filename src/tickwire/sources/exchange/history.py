"""The bars that an exchange can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ...errors import SourceError
from ...klines import SECONDS, Grid
from ...model import Instrument, Kline, KlineType
from ..judge import Judge
from .mapper import Unreadable, read_bar
from .venue import Venue

TIMEFRAMES = dict(zip(KlineType, "1m 5m 15m 30m 1h 2h 4h 1d 1w 1M".split(), strict=True))
SPANS = SECONDS | {KlineType.DAY: 86_400, KlineType.WEEK: 604_800}
PAGES = 3
"""Requests for one question: a venue may leave out minutes without trades, and then gives fewer bars than
there are open times."""


@dataclass(eq=False, repr=False)
class ExchangeHistory:
    """Bars through ccxt's `fetch_ohlcv`; see tickwire.sources.History."""

    name: str
    venue: Venue
    symbols: Mapping[str, str]
    judge: Judge
    wall: Callable[[], int]

    def __post_init__(self) -> None:
        self.most = self.venue.most_bars
        self.exchange: Any = None
        """The connected instance, None while there is none."""

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        now, grid = self.wall(), Grid(instrument)
        last = grid.open_time(kline_type, now // 1000 if end is None else min(end, now // 1000))
        count = slots = min(count, self.most)
        found: dict[int, Kline] = {}
        for page in range(PAGES):
            first = back(kline_type, last, slots - 1)
            bars = await self._page(instrument, kline_type, first, slots)
            fit = {bar.time: bar for bar in bars if first <= bar.time <= last}
            if off := [at for at in fit if grid.open_time(kline_type, at) != at]:
                opened = datetime.fromtimestamp(off[0], UTC).isoformat()
                raise SourceError(f"{self.name}: its bars of {TIMEFRAMES[kline_type]} open at {opened}.")
            found |= fit
            if len(found) >= count or (page and not fit):
                break
            last, slots = back(kline_type, first, 1), self.most
        return [found[at] for at in sorted(found)[-count:]]

    async def _page(
        self, instrument: Instrument, kline_type: KlineType, first: int, count: int
    ) -> list[Kline]:
        exchange, symbol = self.exchange, self.symbols.get(instrument.code)
        if exchange is None or symbol is None:
            raise SourceError(f"{self.name} is not connected, or lacks {instrument.code}.")
        timeframe = TIMEFRAMES[kline_type]
        if not exchange.has.get("fetchOHLCV") or timeframe not in (exchange.timeframes or ()):
            raise SourceError(f"{self.name} has no bars of {timeframe}.")
        try:
            raws = await exchange.fetch_ohlcv(symbol, timeframe, since=first * 1000, limit=count)
        except Exception as error:  # ccxt lets through what its parsers and sockets raise
            raise SourceError(f"{self.name}: {self.venue.said(error)}.") from None
        return [*self._read(instrument, kline_type, raws)]

    def _read(self, instrument: Instrument, kline_type: KlineType, raws: Any) -> Iterator[Kline]:
        """The bars of an answer, without those that are unfit."""
        if not isinstance(raws, list):
            raise SourceError(f"{self.name} answers no list of bars.")
        for raw in raws:
            try:
                yield read_bar(instrument, kline_type, raw, self.wall())
            except Unreadable as error:
                if error.fault is None:
                    raise SourceError(
                        f"{self.name}: a bar of {instrument.code} is unreadable: {error}."
                    ) from None
                self.judge.refuse(instrument.code, error.fault)


def back(kline_type: KlineType, opened: int, bars: int) -> int:
    """The open time of the bar so many before one, in seconds and on the UTC grid; 1970 at the earliest."""
    if span := SPANS.get(kline_type):
        return max(opened % span, opened - bars * span)
    day = datetime.fromtimestamp(opened, UTC)
    month = max(1970 * 12, day.year * 12 + day.month - 1 - bars)
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())
