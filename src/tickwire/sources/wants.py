"""Which streams somebody wants, and for how long, where room may be short. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from ..model import Kind, with_room
from .source import ASKED, SUBSCRIBED

REFUSED = 300.0
"""Seconds for which a code is not asked for again that upstream refused."""

CodeT = TypeVar("CodeT", bound=str | tuple[Kind, str])


@dataclass(slots=True)
class Lease:
    """Until when a code is wanted by a subscription, and by requests over HTTP."""

    subscribed: float = -inf
    asked: float = -inf


class Wants(Generic[CodeT]):
    """The codes, or the streams, that are wanted of a source: at most `most`, None for no limit.

    `keep` are wanted always, as far as they have room. `now` is in seconds of a monotonic clock. Where room
    is short, those give way that only HTTP asked for; then those whose subscription was not renewed last.
    """

    def __init__(self, keep: Iterable[CodeT], most: int | None) -> None:
        codes = tuple(dict.fromkeys(keep))
        self.left_out = () if most is None else codes[most:]
        """Those of `keep` for which there is no room."""
        self.most = most
        self._most = inf if most is None else most
        self._keep = frozenset(codes).difference(self.left_out)
        self._leases: dict[CodeT, Lease] = {}
        self._refused: dict[CodeT, float] = {}

    def keep(self, code: CodeT) -> None:
        """This one is wanted always too, if there is room for it."""
        if len(self._keep) >= self._most:
            self.left_out = (*self.left_out, code)
            return
        self._keep |= {code}
        self._leases.pop(code, None)

    def target(self) -> list[CodeT]:
        """What is to be subscribed to."""
        return [*sorted(self._keep - self._refused.keys()), *self._leases]

    def renew(self, names: Iterable[CodeT], now: float) -> list[CodeT]:
        """These are subscribed to, and nothing else; what was before gives way to them. Returns those that
        were not wanted before, and are now."""
        codes = dict.fromkeys(names).keys()
        fresh = []
        for code in codes:
            if code in self._keep or code in self._refused:
                continue
            if code not in self._leases:
                fresh.append(code)
            self._leases.setdefault(code, Lease()).subscribed = now + SUBSCRIBED
        self._fit(now, codes)
        return [code for code in fresh if code in self._leases]

    def ask(self, codes: Iterable[CodeT], now: float) -> None:
        """These are asked for over HTTP: they are subscribed to where room is left."""
        for code in codes:
            if code in self._keep or code in self._refused:
                continue
            if code in self._leases or self._free() > 0:
                self._leases.setdefault(code, Lease()).asked = now + ASKED

    def room(self, codes: Iterable[CodeT]) -> list[CodeT]:
        """Those of these that can be subscribed to if nothing else is: the first ones."""
        return with_room(codes, self.most, self._keep, self._refused.keys())

    @property
    def kept(self) -> frozenset[CodeT]:
        """Those that are wanted always, and have room."""
        return self._keep

    def refused(self, codes: Iterable[CodeT] | None = None) -> set[CodeT]:
        """Those of these (None: of all) that upstream will not give."""
        return {*self._refused} if codes is None else self._refused.keys() & {*codes}

    def refuse(self, codes: Iterable[CodeT], now: float) -> None:
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

    def _fit(self, now: float, newest: Collection[CodeT]) -> None:
        """Gives up what has no room, the least wanted first."""
        over = -self._free()
        if over <= 0:
            return

        def worth(place: int, code: CodeT, lease: Lease) -> tuple[int, float, int]:
            if lease.subscribed <= now:
                return 0, lease.asked, -place
            if code not in newest:
                return 1, lease.subscribed, -place
            return 2, 0.0, -place

        worths = {code: worth(place, code, lease) for place, (code, lease) in enumerate(self._leases.items())}
        for code in sorted(worths, key=worths.__getitem__)[: int(over)]:
            del self._leases[code]
