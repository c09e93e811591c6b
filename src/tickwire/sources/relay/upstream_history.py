"""The bars that an upstream server has."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...client import ClientError, Http, TooManyRequests
from ...errors import SourceError
from ...model import Entrance, Fault, Instrument, Kline, KlineType, Rule, bar_fault
from ..judge import Judge
from .upstream_clock import AHEAD

SUNDAY = 86_400_000
"""Milliseconds by which bars of a day and more open ahead on a Sunday evening, which belongs to Monday."""
TRIES, LONGEST = 5, 30.0
"""How often a request is sent that was too fast, and the seconds that the next turn may be away."""
NOT_OPEN = Fault(Rule.TIME, "its bar opens ahead of all clocks")


@dataclass(eq=False, repr=False)
class UpstreamHistory:
    """The bars of /kline (protocol, section 3). See `History`.

    `told` is called with each answer: the last bar if it is the latest one there is, or the error. It may
    take a moment, after which it is known what the market's time is, or raise SourceError; it returns the
    time in milliseconds that no bar may open after. `plain` takes secrets out of a text.
    """

    http: Http
    judge: Judge
    told: Callable[[Instrument, KlineType, Kline | None, ClientError | None], Awaitable[int]]
    plain: Callable[[str], str]
    most = 500

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        """The latest `count` bars, at most `most`, that open up to `end`, but for those that are unfit.
        Raises SourceError.

        A server that ignores the end of stocks, as the vendor's does, has none before its latest ones.
        """
        try:
            bars = await self._ask(instrument, kline_type, min(count, self.most), end or 0)
        except ClientError as error:
            await self.told(instrument, kline_type, None, error)
            raise SourceError(f"No bars of {instrument.code}: upstream {self.plain(str(error))}") from None
        by_time = {bar.time: bar for bar in bars if (end is None or bar.time <= end) and self._is_fit(bar)}
        found = [by_time[time] for time in sorted(by_time)][-count:]
        last = found[-1] if found and end is None else None
        now = await self.told(instrument, kline_type, last, None)
        return [bar for bar in found if self._has_opened(bar, now)]

    async def _ask(self, instrument: Instrument, kline_type: KlineType, count: int, end: int) -> list[Kline]:
        """The answer. What was too fast for upstream waits for another turn. Raises ClientError."""
        tries = itertools.count(1)
        while True:
            try:
                return await self.http.klines(
                    instrument.family, instrument.code, kline_type, count=count, end=end, whole=True
                )
            except TooManyRequests as error:
                if next(tries) == TRIES or (error.retry_after or 0) > LONGEST:
                    raise

    def _has_opened(self, bar: Kline, now: int) -> bool:
        ahead = AHEAD + (SUNDAY if bar.kline_type >= KlineType.DAY else 0)
        if bar.time * 1000 > now + ahead:
            self.judge.refuse(bar.code, NOT_OPEN)
            return False
        return True

    def _is_fit(self, bar: Kline) -> bool:
        if (fault := bar_fault(bar, self.judge.instrument(bar), Entrance.RELAY)) is not None:
            self.judge.refuse(bar.code, fault)
        return fault is None
