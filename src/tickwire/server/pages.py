"""Pages of bars, ready to be sent: what has closed is encoded once, not at every request."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from ..engine import Engine
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


class Pages:
    """Answers with bars."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pages: dict[Key, Page] = {}
        self._made = 0.0

    def answer(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> msgspec.Raw:
        """The latest `count` bars up to and including `end` (in seconds), ascending, as a JSON array."""
        bars = self._engine.feeds.of(instrument).bars
        forming = bars.forming(instrument, kline_type)
        if forming is not None and end is not None and forming.time > end:
            forming = None
        key = Key(instrument.code, kline_type, count, end)
        version = bars.version(instrument, kline_type)
        opened = forming.time if forming is not None else None
        if (now := time.monotonic()) - self._made > LIFETIME or len(self._pages) >= MOST_PAGES:
            self._pages, self._made = {}, now
        page = self._pages.get(key)
        if page is None or (page.version, page.forming) != (version, opened):
            found = bars.read(instrument, kline_type, count=count, end=end)
            closed = [bar for bar in found if bar.time != opened]
            page = self._pages[key] = Page(_encoded(instrument, closed), version, opened)
        last = _encoded(instrument, [forming] if forming is not None else [])
        return msgspec.Raw(b"[" + page.bars + b"," * bool(page.bars and last) + last + b"]")


def _encoded(instrument: Instrument, bars: list[Kline]) -> bytes:
    return to_json([kline_bar(instrument, bar) for bar in bars])[1:-1]
