"""Asks upstream what codes are that no catalogue here has, with a tenth of what the plan allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from ...client import Http, Pacer, Rates, RequestRefused
from ...client.pacer import Times
from ...model import Family, Instrument, Trade
from ...wire import CODE_INVALID, Pushed, StaticInfo
from .learning import described, guessed, widened

SHARE = 10
"""One in so many requests that the plan allows in a minute may be one of these: on a basic plan six, which
may follow one another as fast as the plan lets any, so that a team's first codes are there in seconds."""
MINUTE = 60.0


class Found(NamedTuple):
    """What upstream said: what codes are, of which codes it said neither that nor that it lacks them, and the
    trades that it showed."""

    instruments: list[Instrument]
    unsure: tuple[str, ...] = ()
    trades: Sequence[Pushed] = ()


class Inquiry(NamedTuple):
    """Asks about codes; `source` is the name of whoever learns them.

    `is_tickwire` says whether upstream is one, which knows by /v1/instruments; another server shows by
    /trade-tick which codes it has, and by /static_info what their stocks are called.
    """

    http: Http
    pacer: Pacer
    source: str
    is_tickwire: Callable[[], Awaitable[bool]]

    async def turn(self) -> None:
        """Waits until something may be asked. Raises ClientError if that is not today."""
        await self.pacer.turn("instruments" if await self.is_tickwire() else "trade-tick")

    async def ask(self, family: Family, codes: tuple[str, ...]) -> Found:
        """What these are, once it is their turn. Raises ClientError; RequestRefused says that none of them
        can be had."""
        if await self.is_tickwire():
            return await self._ask_tickwire(family, codes)
        trades = [one for one in await self.http.trades(family, codes) if isinstance(one.event, Trade)]
        shown = {one.event.code: one.event for one in trades if isinstance(one.event, Trade)}
        found = {code: widened(guessed(code, self.source), shown[code]) for code in codes if code in shown}
        unsure = tuple(code for code in codes if code not in found)
        if unsure == codes and len(codes) == 1:  # what is not refused, and alone, is known: it has not traded
            return Found([guessed(codes[0], self.source)])
        shown_of_those = [one for one in trades if one.event.code in found]
        return Found([*found.values()], unsure, shown_of_those)

    async def names(self, codes: tuple[str, ...]) -> list[StaticInfo]:
        """What stocks are called, once it is their turn. Raises ClientError."""
        await self.pacer.turn("static_info")
        return await self.http.static_info(codes)

    async def _ask_tickwire(self, family: Family, codes: tuple[str, ...]) -> Found:
        infos, whole = await self.http.instruments(codes)
        told = [described(one, self.source) for one in infos if one.code in codes]
        found = [one for one in told if one is not None and one.family is family]
        if whole:
            if not found:
                raise RequestRefused("no such code", ret=CODE_INVALID.code, msg=CODE_INVALID.msg)
            return Found(found)
        known = {one.code for one in found}
        return Found(found, tuple(code for code in codes if code not in known))


def share(rates: Rates) -> Rates:
    """A tenth of these, or one request in ten times as long."""
    per_day = None if rates.per_day is None else max(1, rates.per_day // SHARE)
    return Rates(_part(rates.endpoint), http=_part(rates.http), per_day=per_day)


def _part(times: Times | None) -> Times | None:
    if times is None:
        return None
    requests, seconds = times
    if (of_a_minute := int(requests * MINUTE / seconds / SHARE)) >= 1:
        return of_a_minute, MINUTE
    return 1, seconds * SHARE / requests
