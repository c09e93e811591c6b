"""Everything that is asked for over HTTP: what it answers has exact decimals and times that know their zone.

async with Api(token="…") as api:
    bars = await api.klines("GOLD", "1h", 1000)
    print(bars[-1].time, bars[-1].close)
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from itertools import islice
from operator import index
from random import Random
from typing import ParamSpec, Self, TypeVar

from ..model import Direction, Family, Suspension, SuspensionList, family_of, nearest, searches
from ..model import Kline as Bar
from ..model import Trade as WireTrade
from ..wire import CODE_INVALID, Pushed, StaticInfo
from ..wire.overview import GapInfo, GapList, InstrumentInfo, MarketInfo, MarketList
from .account import Plan, account
from .backoff import Backoff, Tries
from .errors import ClientError, Incomplete, RequestRefused
from .events import Book, Kline, Trade, kline_of
from .history import ALL, Progress, between, history, milliseconds
from .http import Http, Instruments
from .intervals import kline_type_of
from .link import Token
from .network import Network
from .pacer import Pacer
from .rows import Rows
from .shortfall import HistoryWarning, shortfall
from .shown import MOST_NAMED, told_nearest

log = logging.getLogger("tickwire.client")

P = ParamSpec("P")
T = TypeVar("T")
PAGE = 2000
"""Instruments of one request."""
MOST_CODES = 50
"""Codes of one request: what the vendor recommends, for a URL may not grow for ever (section 4)."""
TRIES = 5
MOST_GAPS = 1000
"""Gaps of one answer."""
NEAREST_WAIT = 3.0
"""Seconds that an error waits for the code that may have been meant."""


class Api:
    """The HTTP API of a server, for `async with`; `url`, `token`, `plan` and `network` are as for `connect`.

    Requests keep to the plan. One that was too fast, or met a server that is not well, is sent again: up to
    five times in all, after growing pauses or when the server says, unless that is more than `patience`
    seconds away. `timeout` is how long an answer may take. All methods raise ClientError; `family` is where
    `family_of` is wrong.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token | None = None,
        plan: str | Plan | None = None,
        timeout: float = 20.0,
        patience: float = 70.0,
        network: Network | None = None,
    ) -> None:
        found = account(url, token, plan, network)
        self._plan = found.plan
        self._patience = patience
        self._trouble = ""
        self._pacer = Pacer(found.plan.rates)
        self._http = Http(found.url, found.token, pacer=self._pacer, timeout=timeout, network=found.network)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of its connections."""
        await self._http.close()

    @property
    def waits_for(self) -> str:
        """What a request that is under way for long waits for, in words."""
        if self._trouble:
            return self._trouble
        return "the plan allows few requests" if self._pacer.waiting else "the server is slow"

    async def latest_trades(
        self, codes: str | Iterable[str], *, family: Family | str | None = None
    ) -> Rows[Trade]:
        """The last trade of each code that has one.

        await api.latest_trades(["GOLD", "AAPL.US"])
        """
        found = await self._naming(names_of(codes), self._of_codes(self._http.trades, codes, family))
        return Rows(Trade, [_trade(one) for one in found])

    async def books(self, codes: str | Iterable[str], *, family: Family | str | None = None) -> Rows[Book]:
        """The last book of each code that has one.

        (await api.books("BTCUSDT"))[0].best_bid
        """
        found = await self._naming(names_of(codes), self._of_codes(self._http.books, codes, family))
        return Rows(Book, [_book(one) for one in found])

    async def klines(
        self,
        code: str,
        interval: str | int = "1m",
        count: int | None = None,
        *,
        start: str | date | None = None,
        end: str | date | None = None,
        family: Family | str | None = None,
        progress: Callable[[Progress], object] | None = None,
        on_short: Callable[[str], object] | None = None,
        gaps: bool | None = None,
    ) -> Rows[Kline]:
        """Bars of a code, ascending: the last `count` of those that open from `start` on and before `end`.

        Without `count` and `start` the last 500; with `start`, all. Times are dates, datetimes or texts such
        as "2026-09-04 12:30"; without a zone they are UTC, and of days, weeks and months trading dates of the
        code's exchange. More than 500 are read page by page, and `progress` is called with each. The last bar
        may still be forming. A server that has only a part of its bars now is asked again; what it has then
        is given, and the log says so.

        Where there are no bars, or they begin later than `start`, a HistoryWarning says how far they go back;
        or `on_short` is called with that text. The rows have the `source` of a Tickwire's bars and, of a
        download with `start` or where `gaps` says so, the `gaps` in their time. Raises ValueError for what is
        no time, no interval or no count, and where `end` lies before `start`.

            await api.klines("AAPL.US", "1d", start="2026-01-01")
        """
        kline_type, where = kline_type_of(interval), family_for(code, family)
        most = _count(count) if count is not None else 500 if start is None else ALL
        first, before = between(start, end, kline_type)
        sources: dict[str, None] = {}

        async def page(size: int, until: int) -> Sequence[Bar]:
            ask, bars = self._http.klines, (where, code, kline_type)
            try:
                whole = self._ask(ask, *bars, count=size, end=until, whole=True)
                found = await self._naming([code], whole)
            except Incomplete as error:  # after as many tries as it is worth
                log.warning("%s", error)
                found = await self._ask(ask, *bars, count=size, end=until)
            if found.source:
                sources[found.source] = None
            return found

        read = await history(page, code, most, first, before, progress or (lambda _: None))
        if short := await shortfall(page, code, kline_type, first, before, read):
            (on_short or _warn)(short)
        rows = Rows(Kline, [kline_of(one) for one in read.bars], source=", ".join(sources))
        if sources and (start is not None if gaps is None else gaps):
            rows.gaps = await self._gaps_of(code, first, before, read.bars)
        return rows

    async def _gaps_of(
        self, code: str, first: int | None, before: int | None, bars: Sequence[Bar]
    ) -> Rows[GapInfo] | None:
        """The latest gaps of a Tickwire's in the time of these bars; None where it does not tell."""
        begin = first if first is not None else bars[0].time * 1000 if bars else before
        since = None if begin is None else max(begin, 0)
        asked = {"code": code, "from": since, "to": before, "limit": MOST_GAPS}
        try:
            answer = await self._ask(self._http.extension, "gaps", GapList, asked)
        except ClientError as error:
            log.warning("the gaps of %s are not known: %s", code, error)
            return None
        return Rows(GapInfo, answer.gap_list)

    async def latest_klines(
        self,
        codes: str | Iterable[str],
        intervals: str | int | Iterable[str | int] = "1m",
        *,
        count: int = 2,
        family: Family | str | None = None,
    ) -> Rows[Kline]:
        """The last one or two bars of many codes and intervals, ascending per code and interval.

        await api.latest_klines(["GOLD", "BTCUSDT"], ["1m", "1d"])
        """
        wanted = [intervals] if isinstance(intervals, (str, int)) else [*intervals]
        kinds = [kline_type_of(one) for one in wanted]
        found: list[Kline] = []
        for each, names in _by_family(codes, family):
            pairs = [(code, kind) for code in names for kind in kinds]
            for part in _parts(pairs, self._plan.batch_groups or MOST_CODES):
                asked = self._ask(self._http.latest_klines, each, part, count=count)
                groups = await self._naming([code for code, _ in part], asked)
                found += [kline_of(bar) for bars in groups.values() for bar in bars]
        return Rows(Kline, found)

    async def static_info(self, codes: str | Iterable[str]) -> Rows[StaticInfo]:
        """Names, exchange, currency, lot and figures of stocks, all as text.

        (await api.static_info("AAPL.US"))[0].name_en
        """
        found: list[StaticInfo] = []
        for part in _parts(names_of(codes), self._plan.http_codes or MOST_CODES):
            found += await self._naming(part, self._ask(self._http.static_info, part))
        return Rows(StaticInfo, found)

    async def suspensions(self, exchange: SuspensionList | str) -> Rows[Suspension]:
        """The halts that an exchange ("sse", "nyse", "nasdaq") has announced, the newest first.

        Raises ValueError for another exchange.
        """
        where = SuspensionList(exchange)
        return Rows(Suspension, (await self._ask(self._http.suspensions, where)).entries)

    async def instruments(self, search: str = "") -> Rows[InstrumentInfo]:
        """What a Tickwire has in whose code, alias or name the text stands; AllTick refuses it.

        (await api.instruments("apple")).to_pandas()
        """
        found: list[InstrumentInfo] = []
        page: dict[str, str | int] = {"search": search, "limit": PAGE}
        while True:
            answer = await self._ask(self._http.extension, "instruments", Instruments, page)
            found += answer.instrument_list
            # A server that knows no pages answers all.
            after = answer.next if isinstance(answer.next, str) else ""
            if not answer.instrument_list or after in ("", page.get("after")):
                return Rows(InstrumentInfo, found)
            page["after"] = after

    async def markets(self) -> Rows[MarketInfo]:
        """The calendars of a Tickwire: which markets are open, and until when; AllTick refuses it."""
        answer = await self._ask(self._http.extension, "markets", MarketList)
        return Rows(MarketInfo, answer.market_list)

    async def gaps(
        self,
        code: str | None = None,
        *,
        start: str | date | None = None,
        end: str | date | None = None,
        limit: int = 100,
    ) -> Rows[GapInfo]:
        """When the sources of a Tickwire were down, the newest first, 1000 at the most; AllTick refuses it.

        await api.gaps("BTCUSDT", start="2026-09-01")
        """
        asked = {"code": code, "from": milliseconds(start), "to": milliseconds(end), "limit": limit}
        answer = self._ask(self._http.extension, "gaps", GapList, asked)
        found = await (answer if code is None else self._naming([code], answer))
        return Rows(GapInfo, found.gap_list)

    async def nearest(self, codes: str | Iterable[str]) -> dict[str, str]:
        """The code that may have been meant by each of these, as far as a Tickwire has one that is near; of a
        few at the most. Empty where none was found in three seconds, and of a server that is no Tickwire.

            await api.nearest("btcusdt")
        """
        found: dict[str, str] = {}
        with suppress(ClientError, TimeoutError):
            async with asyncio.timeout(NEAREST_WAIT):
                for code in islice(names_of(codes), MOST_NAMED):
                    if (near := await self._nearest(code)) is not None:
                        found[code] = near
        return found

    async def _nearest(self, code: str) -> str | None:
        for texts in searches(code):
            listed: list[str] = []
            for text in texts:
                asked = {"search": text, "limit": PAGE}
                answer = await self._http.extension("instruments", Instruments, asked)
                listed += [one.code for one in answer.instrument_list]
            if code in listed:
                return None  # it is there, and was refused for something else
            if (near := nearest(code, listed)) is not None:
                return near
        return None

    async def _of_codes(
        self,
        ask: Callable[[Family, Sequence[str]], Awaitable[list[Pushed]]],
        codes: str | Iterable[str],
        family: Family | str | None,
    ) -> list[Pushed]:
        """Answers of all codes. A request without a known one is an error only if no other gave anything."""
        found: list[Pushed] = []
        unknown: ClientError | None = None
        for each, names in _by_family(codes, family):
            for part in _parts(names, self._plan.http_codes or MOST_CODES):
                try:
                    found += await self._ask(ask, each, part)
                except RequestRefused as refused:
                    if refused.ret != CODE_INVALID.code:
                        raise
                    unknown = refused
        if not found and unknown is not None:
            raise unknown
        order = {code: place for place, code in enumerate(names_of(codes))}
        return sorted(found, key=lambda one: order.get(one.event.code, 0))

    async def _naming(self, codes: Sequence[str], answer: Awaitable[T]) -> T:
        """The answer. The error of unknown codes names those that may have been meant."""
        try:
            return await answer
        except RequestRefused as refused:
            if refused.ret != CODE_INVALID.code or not (near := await self.nearest(codes)):
                raise
            text = f"{refused}; {told_nearest(near)}"
            raise RequestRefused(text, ret=refused.ret, msg=refused.msg, status=refused.status) from None

    async def _ask(self, request: Callable[P, Awaitable[T]], *args: P.args, **named: P.kwargs) -> T:
        """The answer, after as many tries as it is worth."""
        tries, number = Tries(Backoff(), Random()), 0
        while True:
            number += 1
            try:
                answer = await request(*args, **named)
                self._trouble = ""
                return answer
            except ClientError as error:
                wait = max(tries.delay(), error.retry_after or 0.0)
                if not error.retryable or number == TRIES or wait > self._patience:
                    raise
                self._trouble = str(error)
                await asyncio.sleep(wait)


def _warn(short: str) -> None:
    warnings.warn(short, HistoryWarning, stacklevel=3)


def names_of(codes: str | Iterable[str]) -> list[str]:
    """The codes, each once."""
    return [codes] if isinstance(codes, str) else [*dict.fromkeys(codes)]


def family_for(code: str, family: Family | str | None) -> Family:
    """The family that is said, else that of the code."""
    return family_of(code) if family is None else Family(family)


def _by_family(codes: str | Iterable[str], family: Family | str | None) -> Iterator[tuple[Family, list[str]]]:
    names = names_of(codes)
    for each in Family:
        if mine := [code for code in names if family_for(code, family) is each]:
            yield each, mine


def _count(count: int) -> int:
    """How many bars are asked for. Raises ValueError if that is no whole number from 1 on."""
    try:
        if not isinstance(count, bool) and (number := index(count)) > 0:
            return number
    except TypeError:
        pass
    raise ValueError(f"count is {count!r}, expected a whole number from 1 on")


def _parts(entries: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(entries)
    while part := [*islice(rest, size)]:
        yield part


def _trade(one: Pushed) -> Trade:
    event = one.event
    assert isinstance(event, WireTrade)  # noqa: S101  # what the reader of that endpoint makes
    return Trade(
        event.code,
        event.time,
        event.price,
        event.volume,
        event.turnover,
        Direction(event.direction),
        one.seq,
    )


def _book(one: Pushed) -> Book:
    event = one.event
    return Book(event.code, event.time, event.bids, event.asks, one.seq)  # type: ignore[union-attr]
