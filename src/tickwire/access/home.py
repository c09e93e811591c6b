"""Where the limits of a token are kept whose clients come to several client sides. Pure: time is an argument.

A token has one home, so what passes there passes once, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from ..model import Ending, Family
from .account import Account, Full, Verdict
from .plan import Plan

MOST = 100_000
"""Tokens whose use is remembered, beyond those that are connected."""


class Limits(NamedTuple):
    """What holds for a token: its plan, when its day begins (in seconds after midnight UTC), and after how
    many seconds of silence a connection gives way to another one."""

    plan: Plan
    day_reset: int
    takeover_after: float


class Seating(NamedTuple):
    """Whether a connection has a place; else after `wait` seconds there may be one, None if that is not
    known."""

    seated: bool
    wait: float | None = None


class Seat:
    """A connection at some client side, by its number there."""

    __slots__ = ("_dismiss", "family", "label", "last_heard", "number", "who")

    def __init__(
        self,
        who: Hashable,
        number: int,
        label: str,
        family: Family,
        now: float,
        dismiss: Callable[[Seat], None],
    ) -> None:
        self.who = who
        self.number = number
        self.label = label
        self.family = family
        self.last_heard = now
        self._dismiss = dismiss

    def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
        """Has its client side close it."""
        self._dismiss(self)


class Home:
    """The accounts of tokens, and the connections that they have anywhere."""

    def __init__(self, dismiss: Callable[[Seat], None]) -> None:
        """`dismiss` has a client side close one of its connections."""
        self._dismiss = dismiss
        self._accounts: dict[str, tuple[Limits, Account]] = {}
        self._seats: dict[tuple[Hashable, int], Seat] = {}

    def request(self, label: str, limits: Limits, endpoint: str | None, now: float, wall: float) -> Verdict:
        """A request over HTTP, see `Account.request`."""
        return self._account(label, limits).request(endpoint, now, wall)

    def subscribe(self, label: str, limits: Limits, interface: Hashable, now: float) -> bool:
        """A subscription, see `Account.subscribe`."""
        return self._account(label, limits).subscribe(interface, now)

    def seat(
        self,
        who: Hashable,
        number: int,
        label: str,
        limits: Limits,
        family: Family,
        now: float,
        *,
        is_there: bool = False,
    ) -> Seating:
        """A new connection, see `Account.seat`; whoever gives way to it is dismissed. One that `is_there`
        has its place whatever the limit is: it was let in by another home."""
        seat = Seat(who, number, label, family, now, self._dismiss)
        if is_there:
            self._account(label, limits).place(seat, family)
            self._seats[who, number] = seat
            return Seating(seated=True)
        try:
            dead = self._account(label, limits).seat(seat, family, now, limits.takeover_after)
        except Full as full:
            return Seating(seated=False, wait=full.wait)
        self._seats[who, number] = seat
        if isinstance(dead, Seat):
            self._seats.pop((dead.who, dead.number), None)
            self._dismiss(dead)
        return Seating(seated=True)

    def leave(self, who: Hashable, number: int) -> None:
        """A connection is gone."""
        if (seat := self._seats.pop((who, number), None)) is not None:
            self._accounts[seat.label][1].leave(seat, seat.family)

    def heard(self, who: Hashable, ages: Mapping[int, float], now: float) -> None:
        """So many seconds ago something last came from these connections."""
        for number, age in ages.items():
            if (seat := self._seats.get((who, number))) is not None:
                seat.last_heard = now - age

    def forget(self, who: Hashable) -> None:
        """A client side is gone with all its connections."""
        for owner, number in [*self._seats]:
            if owner == who:
                self.leave(owner, number)

    def _account(self, label: str, limits: Limits) -> Account:
        known = self._accounts.pop(label, None)
        if known is None:
            account = Account(limits.plan, limits.day_reset)
            while len(self._accounts) >= MOST and self._drop_oldest():
                pass
        else:
            before, account = known
            if before != limits:
                account.change(limits.plan, limits.day_reset)
        self._accounts[label] = limits, account
        return account

    def _drop_oldest(self) -> bool:
        for label, (_, account) in self._accounts.items():
            if not account.in_use:
                del self._accounts[label]
                return True
        return False
