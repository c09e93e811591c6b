"""A live exchange as a source: connected through ccxt, and connected again whenever it is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from itertools import chain
from typing import Any

import structlog

from ...client import Backoff
from ...client.backoff import Tries
from ...errors import InputError, SettingsError
from ...machine import Machine
from ...model import Catalogue, Entrance, Instrument, Kind
from ..health import Health, Status
from ..judge import Judge
from ..source import Source, Yielded
from ..wants import Wants
from .history import ExchangeHistory
from .outlet import Outlet
from .stream import Key
from .streams import Streams
from .symbols import Line, symbols_at
from .venue import Venue, decimals_at

REMEDY = "Name their symbols with --symbols."

log = structlog.get_logger()


class Exchange(Source):
    """Trades and books of one venue, exactly as it writes their numbers; bars from its history.

    `keep` is streamed whether or not somebody wants it; all else only while it is wanted.
    """

    live = True

    def __init__(
        self,
        venue: str,
        catalogue: Catalogue,
        symbols: Collection[Line],
        *,
        keep: Collection[str] = (),
        options: Mapping[str, Any] | None = None,
        silence: float = 60.0,
        backoff: Backoff | None = None,
        machine: Machine,
    ) -> None:
        """`venue` is its name in ccxt, `options` what its constructor there is told. Codes of `keep` that
        have no symbol are left to other sources. `silence` is in seconds.

        Raises SettingsError if the venue cannot be used, or has none of `keep`.
        """
        self.name = f"exchange:{venue}"
        self._symbols = {code: one for code, one in symbols_at(venue, symbols).items() if code in catalogue}
        self._levels = {code: catalogue[code].levels for code in self._symbols}
        self.codes: Collection[str] = frozenset(code for code in keep if code in self._symbols)
        if keep and not self.codes:
            raise SettingsError(f"{self.name} has none of the codes {_some(keep)}. {REMEDY}")
        self._venue = Venue(venue, options or {}, self._symbols)
        self.health = Health(wall=machine.millis)
        self.decimals: Mapping[str, tuple[int, int]] = {}
        """The venue's decimals of prices and volumes by code; empty until its markets are loaded."""
        judge = Judge(self.name, Entrance.EXCHANGE, catalogue, self.health)
        self.history = self._history = ExchangeHistory(
            self.name, self._venue, self._symbols, judge, machine.millis
        )
        self._backoff = backoff or Backoff()
        self._machine = machine
        keys = (keys_of(kind, self.codes, self._levels) for kind in (Kind.TRADE, Kind.DEPTH))
        self._wants = Wants(chain.from_iterable(keys), None)
        self._outlet = Outlet(self.health)
        self._taken: deque[Yielded] = deque()
        self._streams = Streams(
            self.name,
            self._venue,
            catalogue,
            judge,
            self._symbols,
            self._wants,
            self._outlet,
            self.health,
            silence=silence,
            backoff=self._backoff,
            machine=machine,
        )

    async def events(self) -> AsyncIterator[Yielded]:
        """The stream; it never ends. Raises InputError if the venue trades none of what is kept."""
        runner = asyncio.create_task(self._run())
        runner.add_done_callback(lambda _: self._outlet.arrived.set())
        try:
            while not runner.done():
                while self._taken:
                    yield self._taken.popleft()
                self._taken.extend(await self._outlet.take())
            runner.result()
        finally:
            runner.cancel()
            await asyncio.wait([runner])
            self._streams.lost("the stream was closed")
            self._outlet.flush()

    def market_time(self) -> int:
        """The wall clock."""
        return self._machine.millis()

    def serves(self, instrument: Instrument) -> bool:
        """What has a symbol; once the markets are loaded, what is traded there."""
        return instrument.code in self._symbols

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """Streams these for a while. Returns those of which nothing has come, unless the venue is down."""
        keys = keys_of(kind, codes, self._levels)
        (self._wants.renew if subscribed else self._wants.ask)(keys, self._machine.monotonic())
        if any(key not in self._streams for key in keys):
            self._streams.wake.set()
        if kind is Kind.KLINE or self.health.status is Status.DOWN:
            return ()
        return [key[1] for key in keys if key not in self._streams.told]

    async def _run(self) -> None:
        tries = Tries(self._backoff, self._machine.dice)
        before = None
        while True:
            begun = self._machine.monotonic()
            try:
                async with self._venue.connected(before) as exchange:
                    before = exchange
                    self._learn(exchange)
                    self._history.exchange = exchange
                    await self._streams.serve(exchange)
            except InputError:
                raise
            except Exception as error:  # ccxt lets through what its parsers and sockets raise
                reason = self._venue.said(error)
            finally:
                self._history.exchange = None
            self.health.tell(Status.DOWN, reason)
            self._streams.lost(reason)
            tries.lasted(self._machine.monotonic() - begun)
            await asyncio.sleep(tries.delay())

    def _learn(self, exchange: Any) -> None:
        """What the venue has of our codes."""
        lacking = [code for code, symbol in self._symbols.items() if symbol not in exchange.markets]
        if kept := [f"{code} ({self._symbols[code]})" for code in lacking if code in self.codes]:
            if len(kept) == len(self.codes):
                raise InputError(f"{self.name} trades none of {_some(kept)}. {REMEDY}")
            log.warning("not traded there", source=self.name, codes=_some(kept), remedy=REMEDY)
        for code in lacking:
            del self._symbols[code], self._levels[code]
        self.codes = frozenset(code for code in self.codes if code in self._symbols)
        self.decimals = {code: decimals_at(exchange, symbol) for code, symbol in self._symbols.items()}


def keys_of(kind: Kind, codes: Iterable[str], levels: Mapping[str, int]) -> list[Key]:
    """The streams that give a kind of event: bars are made of trades, and some instruments have no book."""
    if kind is Kind.DEPTH:
        return [(kind, code) for code in codes if levels.get(code)]
    return [(Kind.TRADE, code) for code in codes if code in levels]


def _some(names: Collection[str]) -> str:
    """The first of many names."""
    first = sorted(names)[:10]
    return ", ".join(first) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
