"""Where client sides in other processes ask about limits of tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping

from ..access import Home, Limits, Seat, Seating, Verdict
from ..model import Family

SETTLING = 2.0
"""Seconds in which client sides say which connections there are, where this process is a new one."""


class Reception:
    """The home of tokens, as client sides ask it."""

    def __init__(
        self, dismiss: Callable[[Seat], None], clock: Callable[[], float], micros: Callable[[], int]
    ) -> None:
        self.home = Home(dismiss)
        self._clock = clock
        self._micros = micros
        self._settled = asyncio.Event()

    def settle(self) -> None:
        """The first client side has come: others follow, and say who is there."""
        asyncio.get_running_loop().call_later(SETTLING, self._settled.set)

    async def take_request(self, label: str, limits: Limits, endpoint: str | None) -> Verdict:
        """See `TokenHome`, as for the others."""
        return self.home.request(label, limits, endpoint, self._clock(), self._micros() / 1e6)

    async def take_subscription(self, label: str, limits: Limits, family: Family, cmd_id: int) -> bool:
        return self.home.subscribe(label, limits, (family, cmd_id), self._clock())

    async def take_seat(
        self,
        who: Hashable,
        number: int,
        label: str,
        limits: Limits,
        family: Family,
        *,
        is_there: bool = False,
    ) -> Seating:
        if not is_there:
            await self._settled.wait()
        return self.home.seat(who, number, label, limits, family, self._clock(), is_there=is_there)

    async def leave_seats(self, who: Hashable, numbers: Collection[int]) -> None:
        for number in numbers:
            self.home.leave(who, number)

    async def heard_from(self, who: Hashable, ages: Mapping[int, float]) -> None:
        self.home.heard(who, ages, self._clock())
