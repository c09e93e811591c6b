"""Pages of bars, ready to be sent: what has closed is encoded once, not at every request."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import NamedTuple

import msgspec

from ..assembly import Engine
from ..bus import Lack
from ..market.bars import Bars
from ..model import Instrument, Kline, KlineType
from ..wire import kline_bar, to_json

LIFETIME = 1.0
"""Seconds after which all pages are made anew, so that bars that another process imported are seen."""
MOST_PAGES = 256
"""Pages kept at a time; one of 500 bars takes 80 kB."""


class Key(NamedTuple):
    """What a page was asked for with."""

    code: str
    kline_type: KlineType
    number: int
    end: int | None


class Page(NamedTuple):
    """The closed bars of an answer, without the brackets around them.

    It holds as long as the bars of its code and type are those of `version`, and the bar that is forming,
    which is put behind it at every request, is the one that opened at `forming` (None: there is none).
    """

    bars: bytes
    version: int
    forming: int | None
    instrument: Instrument
    """In whose numbers the bars are written."""


class Answer(NamedTuple):
    """Bars as a JSON array, and why they are not all that there are, if so."""

    bars: msgspec.Raw
    lacks: Lack | None = None


class Read(NamedTuple):
    """Bars as they were read, and the version of their code and type right then."""

    bars: list[Kline]
    partial: bool
    version: int


class Pages:
    """Answers with bars."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pages: dict[Key, Page] = {}
        self._reading: dict[Key, asyncio.Task[Read]] = {}
        self._made = 0.0

    async def answer(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> Answer:
        """The latest `count` bars up to and including `end` (in seconds), ascending. Raises StoreError."""
        bars = self._engine.market.feeds.of(instrument).bars
        key = Key(instrument.code, kline_type, count, end)
        if (now := asyncio.get_running_loop().time()) - self._made > LIFETIME or len(
            self._pages
        ) >= MOST_PAGES:
            self._pages, self._made = {}, now
        page, forming = self._pages.get(key), self._forming(bars, instrument, key)
        version, opened = bars.version(instrument, kline_type), _opened(forming)
        if page is not None and page[1:] == (version, opened, instrument):
            return Answer(_joined(page.bars, instrument, forming))
        reading = await self._read(bars, instrument, key)
        forming, opened = self._forming(bars, instrument, key), _opened(self._forming(bars, instrument, key))
        version = bars.version(instrument, kline_type)
        page = self._pages.get(key)
        if page is None or page[1:] != (version, opened, instrument):
            if reading.partial or reading.version != version:  # more has closed meanwhile
                lacks = Lack.STORE if reading.partial else None
                return Answer(_joined(b"", instrument, *reading.bars), lacks)
            closed = _encoded(instrument, [bar for bar in reading.bars if bar.time != opened])
            page = self._pages[key] = Page(closed, version, opened, instrument)
        return Answer(_joined(page.bars, instrument, forming))

    async def _read(self, bars: Bars, instrument: Instrument, key: Key) -> Read:
        """What the bars of a page are, read once for all who ask at the same time. Raises StoreError."""
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.create_task(self._read_now(bars, instrument, key))
            reading.add_done_callback(partial(self._done, key))
        return await asyncio.shield(reading)

    def _done(self, key: Key, reading: asyncio.Task[Read]) -> None:
        del self._reading[key]
        if not reading.cancelled():
            reading.exception()  # which those who asked are told, if they are there still

    async def _read_now(self, bars: Bars, instrument: Instrument, key: Key) -> Read:
        found = await bars.read(instrument, key.kline_type, count=key.number, end=key.end)
        return Read(*found, bars.version(instrument, key.kline_type))

    def _forming(self, bars: Bars, instrument: Instrument, key: Key) -> Kline | None:
        """The bar that is forming, if it belongs to the page."""
        forming = bars.forming(instrument, key.kline_type)
        return None if forming is None or (key.end is not None and forming.time > key.end) else forming


def _opened(bar: Kline | None) -> int | None:
    return None if bar is None else bar.time


def _joined(closed: bytes, instrument: Instrument, *others: Kline | None) -> msgspec.Raw:
    """A JSON array of encoded bars and of these behind them."""
    last = _encoded(instrument, [bar for bar in others if bar is not None])
    return msgspec.Raw(b"[" + closed + b"," * bool(closed and last) + last + b"]")


def _encoded(instrument: Instrument, bars: list[Kline]) -> bytes:
    return to_json([kline_bar(instrument, bar) for bar in bars])[1:-1]
