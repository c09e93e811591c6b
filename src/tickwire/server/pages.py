"""Pages of bars, ready to be sent: what has closed is encoded once, not at every request."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from ..bus import Edition, Lack
from ..gateway.reads import Reads
from ..model import Instrument, Kline, KlineType
from ..wire import to_json
from ..wire.push import kline_bar

LIFETIME = 1.0
"""Seconds after which all pages are made anew, so that bars that another process imported are seen."""
MOST_PAGES = 256
"""Pages kept at a time; one of 500 bars takes 80 kB."""


class Page:
    """The closed bars of an answer, without the brackets around them. It holds as long as the edition does;
    the bar that is forming is put behind it, encoded anew only when it is another one.

    Its bars are written in the instrument's numbers.
    """

    __slots__ = ("_answer", "_forming", "bars", "edition", "instrument")

    def __init__(self, bars: bytes, edition: Edition, instrument: Instrument) -> None:
        self.bars = bars
        self.edition = edition
        self.instrument = instrument
        self._forming: Kline | None = None
        self._answer = msgspec.Raw(b"[" + bars + b"]")

    def answer(self, forming: Kline | None) -> msgspec.Raw:
        """A JSON array of the bars and of the one behind them."""
        if forming != self._forming:
            last = b"" if forming is None else _encoded(self.instrument, [forming])
            self._answer = msgspec.Raw(b"[" + self.bars + b"," * bool(self.bars and last) + last + b"]")
            self._forming = forming
        return self._answer


class Answer(NamedTuple):
    """Bars as a JSON array, the name of the source that they are of, and why they are not all that there are,
    if so."""

    bars: msgspec.Raw
    source: str
    lacks: Lack | None = None


class Pages:
    """Answers with bars."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._pages: dict[tuple[str, KlineType, int, int | None], Page] = {}
        self._made = 0.0

    async def answer(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> Answer:
        """The latest `count` bars up to and including `end` (in seconds), ascending. Raises StoreError."""
        code = instrument.code
        key = code, kline_type, count, end
        if (now := asyncio.get_running_loop().time()) - self._made > LIFETIME or len(
            self._pages
        ) >= MOST_PAGES:
            self._pages, self._made = {}, now
        page = self._pages.get(key)
        edition = None if page is None or page.instrument is not instrument else page.edition
        found = await self._reads.klines(instrument, kline_type, count=count, end=end, edition=edition)
        forming, lacks = found.forming, found.lacks
        if page is None or found.bars is not None:
            instrument = self._reads.catalogue[code]  # what has come of it may have more decimals
            page = self._pages.get(key)  # who waited for the same bars may have made it
            if page is None or page.edition != found.edition or page.instrument is not instrument:
                bars = [one for one in found.bars or () if forming is None or one.time != forming.time]
                page = Page(_encoded(instrument, bars), found.edition, instrument)
            if lacks is not Lack.STORE:
                self._pages[key] = page
        if forming is not None and end is not None and forming.time > end:
            forming = None
        return Answer(page.answer(forming), found.edition[0], lacks)


def _encoded(instrument: Instrument, bars: list[Kline]) -> bytes:
    return to_json([kline_bar(instrument, bar) for bar in bars])[1:-1]
