"""Limits of tokens whose clients come to several client sides: they are asked for at the token's home.

Only tokens whose plan limits what all their connections and requests do together are asked for; where the
home cannot be reached, each client side judges by what it knows itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping

import structlog

from ..access import Limits, Seating, Verdict
from ..bus import TokenHome
from ..errors import StoreError
from ..model import Family
from .admission import Admission, Caller

BEAT = 1.0
"""Seconds between times that the home is told from whom something came."""

log = structlog.get_logger()


class SharedLimits:
    """The home of tokens, as one client side asks it."""

    def __init__(self, home: TokenHome, admission: Admission) -> None:
        self._home = home
        self._admission = admission
        self._seats: dict[int, tuple[str, Limits, Family]] = {}
        self._is_away = False

    def is_shared(self, secret: str) -> bool:
        """Whether a token's limits must be asked for."""
        return self._admission.limits(secret) is not None

    async def request(self, caller: Caller, endpoint: str | None) -> Verdict | None:
        """Whether a request over HTTP passes; None if it is to be judged here."""
        label, limits = _hidden(caller.client.label), self._admission.limits_of(caller.plan)
        try:
            verdict = await self._home.take_request(label, limits, endpoint)
        except StoreError as error:
            self._failed(error)
            return None
        self._is_away = False
        caller.account.count(verdict)
        return verdict

    async def subscribe(self, caller: Caller, cmd_id: int) -> bool | None:
        """Whether a subscription passes; None if it is to be judged here."""
        assert caller.client.family is not None  # noqa: S101  # it has a session
        label, limits = _hidden(caller.client.label), self._admission.limits_of(caller.plan)
        try:
            return await self._home.take_subscription(label, limits, caller.client.family, cmd_id)
        except StoreError as error:
            self._failed(error)
            return None

    async def seat(self, secret: str, number: int, family: Family) -> Seating | None:
        """Whether there is a place for a new connection; None if it is to be judged here."""
        if (asked := self._admission.limits(secret)) is None:
            return None
        label, limits = _hidden(asked[0]), asked[1]
        try:
            found = await self._home.take_seat(self, number, label, limits, family)
        except StoreError as error:
            self._failed(error)
            self._seats[number] = label, limits, family  # the home is told once it is back
            return None
        except asyncio.CancelledError:  # it is gone already, and has a place all the same
            self._seats[number] = label, limits, family
            raise
        if found.seated:
            self._seats[number] = label, limits, family
        return found

    async def leave(self, number: int) -> None:
        """A connection is gone."""
        if self._seats.pop(number, None) is not None:
            await self._home.leave_seats(self, [number])

    def has(self, number: int) -> bool:
        """Whether a connection has its place there."""
        return number in self._seats

    async def renew(self) -> None:
        """The home knows nothing of the connections that there are."""
        for number, (label, limits, family) in [*self._seats.items()]:
            if number in self._seats:
                await self._home.take_seat(self, number, label, limits, family, is_there=True)
            if number not in self._seats:  # it has gone meanwhile
                await self._home.leave_seats(self, [number])

    async def run(self, ages: Callable[[list[int]], Mapping[int, float]]) -> None:
        """Tells from whom something came; `ages` are how many seconds ago. Never ends."""
        while True:
            await asyncio.sleep(BEAT)
            if self._seats:
                try:
                    await self._home.heard_from(self, ages([*self._seats]))
                except StoreError as error:
                    self._failed(error)

    def _failed(self, error: StoreError) -> None:
        if not self._is_away:
            log.error("limits of tokens are judged by each process for itself", reason=str(error))
        self._is_away = True


def _hidden(label: str) -> str:
    """What a token goes by elsewhere: while any is let in, it is the token itself."""
    return hashlib.sha256(label.encode()).hexdigest()[:32]
