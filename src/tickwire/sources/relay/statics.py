"""What upstream says of stocks in /static_info, kept for a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import msgspec

from ...client import ClientError, Clock, Http, RequestRefused
from ...wire import StaticInfo
from .learning import LONGEST

DAY = 86_400.0
"""Seconds for which an entry is kept."""
PATIENCE = 5.0
"""Seconds that a request waits for upstream's entries."""
RETRY = 15.0
"""Seconds before upstream is asked again that did not answer."""


class Statics:
    """Asks for entries: those that are wanted while a request waits for its turn in one, at most `most` of
    them. `heard` is called with how each request ended.

    They stand in memory: some hundred bytes each, and after a restart one request brings fifty.
    """

    def __init__(
        self, http: Http, most: int, clock: Clock, heard: Callable[[ClientError | None], None]
    ) -> None:
        self._http = http
        self._most = most
        self._clock = clock
        self._heard = heard
        self._kept: dict[str, tuple[float, StaticInfo | None]] = {}
        self._waiting: dict[str, None] = {}
        self._some, self._answered = asyncio.Event(), asyncio.Condition()
        self._not_before = 0.0

    async def of(self, codes: Collection[str]) -> tuple[dict[str, StaticInfo], bool]:
        """The entries of these codes that upstream has, and whether it was asked about all."""
        lacking = self._lacking(codes)
        if lacking and self._clock.time() >= self._not_before:
            self._waiting.update(dict.fromkeys(lacking))
            self._some.set()
            try:
                async with asyncio.timeout(PATIENCE), self._answered:
                    await self._answered.wait_for(lambda: self._waiting.keys().isdisjoint(lacking))
            except TimeoutError:
                pass
        found = {code: one for code in codes if (one := self._kept.get(code, (0.0, None))[1]) is not None}
        return found, not self._lacking(codes)

    async def run(self) -> None:
        """Asks. Never ends; begun again, it goes on."""
        while True:
            await self._some.wait()
            codes = tuple(self._waiting)[: self._most]
            if not codes:
                self._some.clear()
                continue
            await self._ask(codes)
            for code in codes:
                del self._waiting[code]
            async with self._answered:
                self._answered.notify_all()

    async def _ask(self, codes: tuple[str, ...]) -> None:
        entries: list[StaticInfo] = []
        try:
            entries = await self._http.static_info(codes)
        except RequestRefused:  # it has none of them
            pass
        except ClientError as error:
            self._heard(error)
            self._not_before = self._clock.time() + RETRY
            return
        self._heard(None)
        until = self._clock.time() + DAY
        self._kept.update((code, (until, None)) for code in codes)
        for one in entries:
            if one.symbol in codes:
                bounded = StaticInfo(*(text[:LONGEST] for text in msgspec.structs.astuple(one)))
                self._kept[one.symbol] = until, bounded

    def _lacking(self, codes: Collection[str]) -> list[str]:
        now = self._clock.time()
        return [code for code in codes if self._kept.get(code, (0.0, None))[0] <= now]
