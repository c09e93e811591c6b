"""What publishers have corrected, and may correct still, by their numbers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from ..klines import Tape
from ..model import Correction, Trade
from ..wire import Unfit

MOST = 200_000
"""Corrections that are known; of more those go whose trades are not known any more, then all."""


class Correctable:
    """The latest trades of all publishers, and what became of them. Methods take a publisher's name."""

    def __init__(self, tape: Tape, waiting: Callable[[str, int], Trade | None], most: int = MOST) -> None:
        """`waiting` finds a trade that was taken and is yet to be put on the tape."""
        self._tape = tape
        self._waiting = waiting
        self._most = most
        self._now: defaultdict[str, dict[int, Trade | None]] = defaultdict(dict)  # None: cancelled
        self._made: defaultdict[str, dict[int, Correction]] = defaultdict(dict)
        self._count = 0

    def find(self, publisher: str, code: str, seq: int, taken: int) -> Trade:
        """The trade of that number as it counts now, where `taken` is the publisher's last number. Raises
        Unfit."""
        if seq > taken:
            raise Unfit(f"no trade {seq} was published")
        if self.made(publisher, seq) is not None:
            raise Unfit(f"line {seq} is a correction, no trade")
        now = self._now.get(publisher, {})
        trade = now[seq] if seq in now else self._waiting(publisher, seq) or self._tape.find(publisher, seq)
        if trade is None:
            if seq in now:
                raise Unfit(f"trade {seq} is cancelled already")
            if not self._tape.whole and seq < (self._tape.first(publisher) or seq + 1):
                raise Unfit(f"trade {seq} is too old")
            raise Unfit(f"line {seq} is no trade")
        if trade.code != code:
            raise Unfit(f"trade {seq} is one of {trade.code}")
        return trade

    def made(self, publisher: str, seq: int) -> Correction | None:
        """The correction that was published under that number, if it was one."""
        return self._made.get(publisher, {}).get(seq)

    def correct(self, publisher: str, correction: Correction) -> None:
        """A trade is corrected."""
        now, made = self._now[publisher], self._made[publisher]
        self._count += correction.was.source_seq not in now
        now[correction.was.source_seq] = correction.became
        if correction.source_seq:
            self._count += correction.source_seq not in made
            made[correction.source_seq] = correction
        if self._count > self._most:
            self._forget()

    def _forget(self) -> None:
        """Forgets what is of trades that are not on the tape any more; and if that is not half of it, which
        numbers corrections had: one that comes again after a kill is then one of a line that is no trade."""
        for publisher, now in self._now.items():
            first = self._tape.first(publisher)
            self._now[publisher] = {seq: one for seq, one in now.items() if first and seq >= first}
            made = self._made[publisher]
            self._made[publisher] = {seq: one for seq, one in made.items() if one.was.source_seq >= first > 0}
        if self._known > self._most // 2:
            self._made.clear()
        self._count = self._known

    @property
    def _known(self) -> int:
        return sum(map(len, self._now.values())) + sum(map(len, self._made.values()))
