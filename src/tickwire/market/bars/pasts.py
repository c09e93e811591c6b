"""The pasts of the instruments of one source: bars before the first one, made as far as somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeAlias

from ...errors import StoreError
from ...klines import SECONDS, Grid, Past, Reach, roll_up
from ...model import Instrument, Kline, KlineType
from ...store import past_note
from .archive import Archive
from .bars import Bars
from .batches import Batches
from .made import Made, MadePast

PAST_WAIT = 2.0
"""Seconds that a request waits for a past to be written."""

PastOf: TypeAlias = Callable[[Instrument, str | None], Past | None]
"""The past of an instrument, by its key; see `Source.past`."""


class Pasts:
    """Makes each part of a past once, whoever asks for it, and keeps it with the bars."""

    def __init__(
        self, past_of: PastOf, archive: Archive, bars: Bars, batches: Batches, maker: Executor | None = None
    ) -> None:
        """`maker` runs the calls that make a past."""
        self._past_of = past_of
        self._archive = archive
        self._bars = bars
        self._batches = batches
        self._maker = maker
        self._pasts: dict[str, MadePast | None] = {}  # None: there is nothing to be made
        self._making: dict[str, asyncio.Task[bool]] = {}
        self._late: set[str] = set()  # those whose write was not waited for

    async def make(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> None:
        """Puts those of the latest `count` bars up to `end` (in seconds) that lie before the first one there,
        unless they are there. Raises StoreError."""
        code = instrument.code
        while self._lacks(code, kline_type, count, end):
            making = self._making.get(code)
            if making is None:
                making = asyncio.create_task(self._make(instrument, kline_type, count, end))
                self._making[code] = making
            if not await asyncio.shield(making):
                return

    def forget(self, kline_type: KlineType, before: int) -> None:
        """The bars of a type that open before that are there no more, and are made again when asked for."""
        for past in self._pasts.values():
            if past is not None:
                past.forget(kline_type, before)

    async def end(self) -> None:
        """Makes nothing more."""
        making = [*self._making.values()]
        for one in making:
            one.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    def _lacks(self, code: str, kline_type: KlineType, count: int, end: int | None) -> bool:
        """Whether something is to be made for these bars, or it is not known."""
        if code not in self._pasts:
            return True
        past = self._pasts[code]
        return past is not None and bool(past.missing(kline_type, count, end))

    async def _make(self, instrument: Instrument, kline_type: KlineType, count: int, end: int | None) -> bool:
        """Returns False where there is no first bar yet, which a past could lead up to."""
        code = instrument.code
        try:
            if code not in self._pasts and not await self._begin(instrument):
                return False
            if (made := self._pasts[code]) is not None:
                await self._deepen(instrument, made, kline_type, count, end)
            return True
        finally:
            del self._making[code]

    async def _deepen(
        self, instrument: Instrument, past: MadePast, kline_type: KlineType, count: int, end: int | None
    ) -> None:
        """What is made waits for the store as all bars do: made again, it would be the same."""
        for gap in past.missing(kline_type, count, end):
            self._check_writes()
            make = await self._maker_of(instrument, past, gap)
            made = await asyncio.get_running_loop().run_in_executor(self._maker, make)
            self._archive.precede(instrument.code, gap.kline_type, made)
            past.made.add(gap)
            self._archive.note(past_note(instrument), past.made.note())

    async def _maker_of(
        self, instrument: Instrument, past: MadePast, gap: Reach
    ) -> Callable[[], list[Kline]]:
        """What makes the bars of a gap. Raises StoreError."""
        first = past.made.first
        if gap.made_of is None:
            assert past.made.price is not None  # noqa: S101 (else no days are missing)
            return partial(past.past.days, gap.begin, gap.end, first, past.made.price)
        grid = Grid(instrument)
        most = (gap.end - gap.begin) // SECONDS.get(gap.made_of, 86_400) + 2
        found = await self._bars.joined(instrument, gap.made_of, count=most, end=gap.end - 1)
        bars = [
            bar
            for bar in found
            if gap.begin <= grid.begin(gap.made_of, bar.time) and grid.end(gap.made_of, bar.time) <= first
        ]
        return partial(past.past.make, gap.kline_type, bars, first)

    def _check_writes(self) -> None:
        """Raises StoreError where nothing can be written: nobody is to wait for that, nor to fill memory."""
        if self._archive.failing:
            raise StoreError(self._archive.failing)

    async def _begin(self, instrument: Instrument) -> bool:
        """Returns False where there is no first bar yet."""
        code, note = instrument.code, past_note(instrument)
        if (noted := await self._archive.stored_note(note)) is not None:
            if code in self._late:  # it was written after all
                await self._bars.reopen(instrument)
            made = Made.read(noted)
            going_on = None if made is None else self._past_of(instrument, made.key)
            self._pasts[code] = None if made is None or going_on is None else MadePast(going_on, made)
            return True
        if (begun := self._past_of(instrument, None)) is None:
            self._pasts[code] = None
            return True
        if (first := await self._first_minute(instrument)) is None:
            return False
        self._check_writes()
        await self._bars.ready([instrument])
        bars_by_type = await asyncio.get_running_loop().run_in_executor(self._maker, begun.begin, first)
        grid = Grid(instrument)
        whole: list[Kline] = []
        parts: list[Kline] = []
        for kline_type, bars in bars_by_type.items():
            goes_on = (
                kline_type is not KlineType.MINUTE and grid.open_time(kline_type, first.time) == bars[-1].time
            )
            whole += bars[:-1] if goes_on else bars
            parts += bars[-1:] if goes_on else ()
        spans = {one: [(grid.begin(one, bars[0].time), first.time)] for one, bars in bars_by_type.items()}
        made = Made(first.time, begun.key, spans, first.open)
        try:
            async with asyncio.timeout(PAST_WAIT):
                await self._archive.write_past(whole, note, made.note())
        except TimeoutError:
            self._late.add(code)
            raise StoreError(f"A past could not be written in {PAST_WAIT:.0f} s.") from None
        for part in self._bars.precede(instrument, parts):
            rest = await self._bars.joined(instrument, part.kline_type, count=1, end=part.time)
            self._archive.put(roll_up(instrument, part.kline_type, [part, *rest]))
        self._pasts[code] = MadePast(begun, made)
        await self._batches.write()  # the first bar, so that no kill leaves a hole behind the past
        return True

    async def _first_minute(self, instrument: Instrument) -> Kline | None:
        stored = await self._archive.first(instrument.code, KlineType.MINUTE)
        count = 1_000_000 if stored is None else 1
        found = await self._bars.joined(instrument, KlineType.MINUTE, count=count, end=stored)
        return found[0] if found else None
