"""Markets, instruments and gaps as /v1 tells of them (an extension)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from msgspec import UNSET, UnsetType

from ..bus import Gaps, Lack
from ..calendars import KEYS, State, load
from ..gateway.admission import Caller
from ..gateway.gateway import Gateway
from ..gateway.reads import Reads
from ..model import ALIASES, Family, Instrument, family_of
from ..wire import InstrumentInfo, MarketInfo, Refused
from ..wire.overview import InstrumentList, MarketList
from ..wire.ret import CODE_INVALID, CODE_UNAUTHORIZED, TOO_FAST

T = TypeVar("T")

YEAR = timedelta(366)
WALKED = 500
"""Instruments after which the event loop gets its turn."""
NAMES = {code: tuple(name for name, of in ALIASES.items() if of == code) for code in ALIASES.values()}


async def _walk(ones: Iterable[T]) -> AsyncIterator[T]:
    """All of them; thousands of instruments take their time, most of all when they are read first."""
    for count, one in enumerate(ones, 1):
        if count % WALKED == 0:
            await asyncio.sleep(0)
        yield one


async def market_list(reads: Reads) -> MarketList:
    """The calendars that instruments of this server keep, with the holidays of a year from now on."""
    figures = await reads.figures()
    now, always = figures.now, figures.round_the_clock
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    by_calendar: defaultdict[str, list[Instrument]] = defaultdict(list)
    async for one in _walk(reads.catalogue):
        if one.calendar in KEYS:
            by_calendar[one.calendar].append(one)
    found = []
    for key in sorted(by_calendar):
        calendar, instruments = load(key), by_calendar[key]
        found.append(
            MarketInfo(
                key,
                tuple(sorted({one.market for one in instruments})),
                len(instruments),
                str(calendar.zone),
                State.OPEN if always else calendar.state(now),
                always,
                now,
                calendar.next_open(now),
                calendar.next_close(now),
                tuple(calendar.holidays(today, today + YEAR)),
                calendar.horizon,
                calendar.expected(today, today + YEAR),
            )
        )
    return MarketList(found)


async def instrument_list(
    reads: Reads, caller: Caller, search: str = "", after: str = "", limit: int | None = None
) -> InstrumentList:
    """The instruments that a source can yield, that the caller may read, and in whose code, alias or name
    the text stands: at most `limit` of them, behind the one of the code `after`.

    Raises ValueError if that is none that the caller may read.
    """
    known = reads.catalogue
    if after and (after not in known or not _is_listed(reads, caller, known[after])):
        raise ValueError(f"after is {after[:40]!r}, expected a code of this list.")
    found = list[Instrument]()
    following: str | UnsetType = UNSET
    async for one in _walk(known.listed(after, search.strip())):
        if not _is_listed(reads, caller, one):
            continue
        if len(found) == limit:
            following = found[-1].code
            break
        found.append(one)
    return InstrumentList(await _told(reads, found), following)


async def find_codes(gateway: Gateway, caller: Caller, names: Collection[str]) -> Lack | None:
    """Has upstream asked what those of these codes are that nobody knows, and waits a while; returns that it
    lacks, where it has not said so of all."""
    families = {name: family_of(name) for name in names}
    unknown = [name for name, family in families.items() if gateway.catalogue.find(family, name) is None]
    refusals = {name: caller.seek(families[name], name) for name in unknown}
    sought = [name for name, refusal in refusals.items() if refusal is None]
    for family in Family:
        await gateway.seeking.find(caller, family, [name for name in sought if families[name] is family])
    waits = any(gateway.seeking.is_sought(families[name], name) for name in sought)
    return Lack.UPSTREAM if waits or TOO_FAST in refusals.values() else None


async def named_instruments(reads: Reads, caller: Caller, names: Iterable[str]) -> InstrumentList:
    """Those of these codes that are known, that a source can yield and that the caller may read."""
    found = (reads.catalogue.find(family_of(name), name) for name in names)
    ones = {one.code: one for one in found if one is not None and _is_listed(reads, caller, one)}
    return InstrumentList(await _told(reads, ones.values()))


def _is_listed(reads: Reads, caller: Caller, instrument: Instrument) -> bool:
    return caller.reads(instrument) and reads.serves(instrument)


async def _told(reads: Reads, ones: Collection[Instrument]) -> list[InstrumentInfo]:
    told = zip(ones, await reads.states(ones), await reads.last_trades(ones), strict=True)
    return [_instrument(*one) async for one in _walk(told)]


def _instrument(one: Instrument, state: str, last_trade: int | None) -> InstrumentInfo:
    return InstrumentInfo(
        one.code,
        NAMES.get(one.code, ()),
        one.family,
        one.market,
        one.calendar,
        state,
        one.name_en,
        one.name_cn,
        one.name_hk,
        one.exchange,
        one.currency,
        one.lot_size,
        one.levels,
        one.price_decimals,
        one.volume_decimals,
        one.turnover_decimals,
        last_trade,
        bool(one.learned),
        one.goes_negative,
    )


async def gap_list(
    gateway: Gateway, caller: Caller, code: str | None, begin: int, end: int | None, limit: int
) -> Gaps:
    """The latest `limit` gaps of what the caller may read, or of one code, between two times.

    Raises Refused if there is no such code (600) or the caller may not read it (604), and StoreError.
    """
    codes: Collection[str] | None
    if code is not None:
        codes = [_readable(gateway, caller, code)]
    else:
        codes = [one.code async for one in _walk(gateway.catalogue) if caller.reads(one)]
        if len(codes) == len(gateway.catalogue):
            codes = None  # those too that the catalogue knows no more
    return await gateway.reads.gap_page(codes, begin, end, limit)


def _readable(gateway: Gateway, caller: Caller, name: str) -> str:
    """The code of that name. Raises Refused."""
    aliases = not gateway.dialect.strict_protocol
    found = (gateway.catalogue.find(family, name, aliases=aliases) for family in Family)
    instrument = next((one for one in found if one is not None), None)
    if instrument is None:
        raise Refused(CODE_INVALID)
    if not caller.reads(instrument):
        raise Refused(CODE_UNAUTHORIZED)
    return instrument.code
