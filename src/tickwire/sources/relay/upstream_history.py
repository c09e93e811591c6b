"""The bars that an upstream server has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...client import ClientError, Http
from ...errors import SourceError
from ...model import Entrance, Instrument, Kline, KlineType, bar_fault
from ..judge import Judge


class UpstreamHistory:
    """The bars of /kline (protocol, section 3). See `History`.

    `told` is called with each answer: the last bar if it is the latest one there is, or the error. It may
    take a moment, after which it is known what the market's time is, or raise SourceError. `plain` takes
    secrets out of a text.
    """

    most = 500

    def __init__(
        self,
        http: Http,
        judge: Judge,
        told: Callable[[Instrument, KlineType, Kline | None, ClientError | None], Awaitable[None]],
        plain: Callable[[str], str],
    ) -> None:
        self._http = http
        self._judge = judge
        self._told = told
        self._plain = plain

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        """The latest `count` bars, at most `most`, that open up to `end`, but for those that are unfit.
        Raises SourceError.

        A server that ignores the end of stocks, as the vendor's does, has none before its latest ones.
        """
        try:
            asked = {"count": min(count, self.most), "end": end or 0}
            bars = await self._http.klines(
                instrument.family, instrument.code, kline_type, **asked, whole=True
            )
        except ClientError as error:
            await self._told(instrument, kline_type, None, error)
            raise SourceError(f"No bars of {instrument.code}: upstream {self._plain(str(error))}") from None
        by_time = {bar.time: bar for bar in bars if (end is None or bar.time <= end) and self._is_fit(bar)}
        found = [by_time[time] for time in sorted(by_time)][-count:]
        await self._told(instrument, kline_type, found[-1] if found and end is None else None, None)
        return found

    def _is_fit(self, bar: Kline) -> bool:
        if (fault := bar_fault(bar, self._judge.instrument(bar), Entrance.RELAY)) is not None:
            self._judge.refuse(bar.code, fault)
        return fault is None
