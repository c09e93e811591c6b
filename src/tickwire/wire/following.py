"""What instruments do (28024), as a client follows it over one connection after another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

import msgspec

from ..model import moment
from .items import MOST_ITEMS
from .messages import Command
from .ret import OK
from .subscription import request

UNKNOWN = "unknown"
"""Stands for the state of an instrument of which the server does not say it."""


class MarketState(msgspec.Struct, frozen=True):
    """What an instrument does since `time`, as its server saw it.

    `state` is "pre-open", "open", "break", "closed", "halted", "limit-up", "limit-down" or "delisted". Of a
    server that does not say what instruments do it is "unknown".
    """

    code: str
    state: str
    time_ms: int

    @property
    def time(self) -> datetime:
        """When the server saw it, in UTC."""
        return moment(self.time_ms)


class Following:
    """The codes that are followed, and what was told of each: a state is told when it is another one than
    before, so that a new connection repeats nothing.

    `changed`: the server has another list than what is wanted.
    """

    def __init__(self) -> None:
        self.changed = False
        self._told: dict[str, str] = {}  # "" before the first
        self._seq_id = 0

    @property
    def codes(self) -> tuple[str, ...]:
        """Those that are followed."""
        return tuple(self._told)

    def add(self, codes: Iterable[str]) -> None:
        """Follows these too."""
        before = len(self._told)
        for code in codes:
            self._told.setdefault(code, "")
        self.changed |= len(self._told) > before

    def remove(self, codes: Iterable[str]) -> None:
        """Follows these no more."""
        for code in codes:
            self.changed |= self._told.pop(code, None) is not None

    def opened(self) -> None:
        """A new connection begins, whose server knows of nothing."""
        self.changed, self._seq_id = bool(self._told), 0

    def ask(self, seq_id: int) -> list[bytes | MarketState]:
        """The request for all of it, and what is told of codes that are too many for one."""
        self.changed, self._seq_id = False, seq_id
        symbols = [{"code": code} for code in islice(self._told, MOST_ITEMS)]
        if not symbols:
            return [request(Command.STATES_CANCEL, seq_id, {})]
        return [
            request(Command.STATES, seq_id, {"symbol_list": symbols}),
            *self._unknown(islice(self._told, MOST_ITEMS, None)),
        ]

    def owns(self, seq_id: int) -> bool:
        """Whether the answer of that number is one to the last request."""
        return bool(self._seq_id) and seq_id == self._seq_id

    def answered(self, ret: int) -> list[MarketState]:
        """The answer came."""
        self._seq_id = 0
        return [] if ret == OK.code else self.unanswerable()

    def unanswerable(self) -> list[MarketState]:
        """The server says nothing of it."""
        self.changed = False
        return self._unknown([*self._told])

    def heard(self, state: MarketState) -> list[MarketState]:
        """The server has said what an instrument does."""
        if self._told.get(state.code, state.state) == state.state:
            return []
        self._told[state.code] = state.state
        return [state]

    def _unknown(self, codes: Iterable[str]) -> list[MarketState]:
        found = [code for code in codes if self._told[code] != UNKNOWN]
        self._told.update(dict.fromkeys(found, UNKNOWN))
        return [MarketState(code, UNKNOWN, 0) for code in found]
