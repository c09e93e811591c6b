"""Which streams of one kind are subscribed to upstream, where room is short. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf

from ..source import ASKED, SUBSCRIBED

REFUSED = 300.0
"""Seconds for which a code is not asked for again that upstream refused."""
ROUND = 1.0
"""Seconds within which everything is renewed that is subscribed to, before room is asked for."""


@dataclass(slots=True)
class Lease:
    """Until when a code is wanted by a subscription, and by requests over HTTP."""

    subscribed: float = -inf
    asked: float = -inf


class Wants:
    """The codes of one kind and family that are wanted upstream: at most `most`, None for no limit.

    `keep` are wanted always, as far as they have room. `now` is in seconds of a monotonic clock. Where room
    is short, those give way that only HTTP asked for; then those whose subscription was not renewed right
    before `room` was asked: their subscriber has left.
    """

    def __init__(self, keep: Iterable[str], most: int | None) -> None:
        codes = tuple(dict.fromkeys(keep))
        self.left_out = () if most is None else codes[most:]
        """Those of `keep` for which there is no room."""
        self.most = most
        self._most = inf if most is None else most
        self._keep = frozenset(codes).difference(self.left_out)
        self._leases: dict[str, Lease] = {}
        self._refused: dict[str, float] = {}
        self._round: set[str] = set()  # what was renewed since the round began
        self._began = -inf
        self._over = False  # whether room was asked for since
        self._offered: set[str] = set()

    def keep(self, code: str) -> None:
        """This one is wanted always too, if there is room for it."""
        if len(self._keep) >= self._most:
            self.left_out = (*self.left_out, code)
            return
        self._keep |= {code}
        self._leases.pop(code, None)

    def target(self) -> list[str]:
        """What is to be subscribed to."""
        return [*sorted(self._keep - self._refused.keys()), *self._leases]

    def renew(self, names: Iterable[str], now: float) -> list[str]:
        """These are subscribed to. Returns those that were not wanted before, and are now.

        A call with what `room` has just offered takes up the offer; any other one is a part of a round in
        which all subscriptions are renewed.
        """
        codes = dict.fromkeys(names).keys()
        if not self._offered.isdisjoint(codes) and codes <= self._offered | self._round:
            self._offered.difference_update(codes)
        else:
            if self._over or now - self._began > ROUND:
                self._round.clear()
                self._offered.clear()
                self._began, self._over = now, False
            self._round.update(codes)
        fresh = []
        for code in codes:
            if code in self._keep or code in self._refused:
                continue
            if code not in self._leases:
                fresh.append(code)
            self._leases.setdefault(code, Lease()).subscribed = now + SUBSCRIBED
        self._fit(now, codes)
        return [code for code in fresh if code in self._leases]

    def ask(self, codes: Iterable[str], now: float) -> list[str]:
        """These are asked for over HTTP: they are subscribed to where room is left. Returns those that
        upstream did not refuse."""
        known = [code for code in codes if code not in self._refused]
        for code in known:
            if code not in self._keep and (code in self._leases or self._free() > 0):
                self._leases.setdefault(code, Lease()).asked = now + ASKED
        return known

    def room(self, codes: Iterable[str], now: float) -> list[str]:
        """Those of these that can be subscribed to."""
        if now - self._began > ROUND:
            self._round.clear()
        self._over = True
        staying = {code for code in self._round if code in self._leases} | (self._keep - self._refused.keys())
        found = []
        for code in dict.fromkeys(codes):
            if code in staying or (code not in self._refused and len(staying) < self._most):
                staying.add(code)
                found.append(code)
        self._offered = set(found) - self._round
        return found

    def refuse(self, codes: Iterable[str], now: float) -> None:
        """Upstream will not give these."""
        for code in codes:
            self._refused[code] = now + REFUSED
            self._leases.pop(code, None)

    def lapse(self, now: float) -> None:
        """Forgets what is over."""
        for code, lease in [*self._leases.items()]:
            if max(lease.subscribed, lease.asked) <= now:
                del self._leases[code]
        for code, until in [*self._refused.items()]:
            if until <= now:
                del self._refused[code]
        self._fit(now, ())

    def _free(self) -> float:
        """How many more there is room for."""
        return self._most - len(self._keep - self._refused.keys()) - len(self._leases)

    def _fit(self, now: float, newest: Collection[str]) -> None:
        """Gives up what has no room, the least wanted first."""
        over = -self._free()
        if over <= 0:
            return
        fresh = {*newest}

        def worth(place: int, code: str, lease: Lease) -> tuple[int, float]:
            if lease.subscribed <= now:
                return 0, lease.asked
            if code not in fresh and code not in self._round:
                return 1, lease.subscribed
            return 2, -place

        worths = {code: worth(place, code, lease) for place, (code, lease) in enumerate(self._leases.items())}
        for code in sorted(worths, key=worths.__getitem__)[: int(over)]:
            del self._leases[code]
