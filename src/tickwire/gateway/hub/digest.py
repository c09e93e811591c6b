"""What a topic has carried lately, thinned: kept once for all clients that conflate.

An event costs a topic the same, however many clients there are that do not read. Each of them only knows up
to which mark it was given what came; when it can take more, it is given what came since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from ...bus import StreamEvent
from ...model import EXACT, QUANTA, Correction, Instrument, KlineState, KlineUpdate, Trade, turnover
from ...wire.push import SeveralTrades

MOST_SKIPPED = 1000
"""Numbers that may come later than greater ones, as scenarios let them."""
SPARE = 8
"""Stretches that a topic may have beyond twice what is needed."""


def is_passing(event: StreamEvent) -> bool:
    """Whether a later event of its stream may stand in its place. A bar that closed or was revised, and a
    correction, is what each client must be given."""
    if type(event) is KlineUpdate:
        return event.state is KlineState.FORMING
    return type(event) is not Correction


class Marks:
    """Moments up to which clients were given what came, by number; later ones are greater."""

    __slots__ = ("held", "moved", "newest")

    def __init__(self) -> None:
        self.newest = 1
        self.moved = False
        """Whether anything came since the newest one."""
        self.held: Counter[int] = Counter()
        """By how many each is held: what came before and after it must not be joined."""

    def here(self) -> int:
        """The mark of now."""
        if self.moved:
            self.newest += 1
            self.moved = False
        return self.newest

    def hold(self, marks: Iterable[int]) -> None:
        """They are needed."""
        self.held.update(marks)

    def release(self, marks: Iterable[int]) -> None:
        """They are needed no more by one of those who held them."""
        for mark in marks:
            if self.held[mark] > 1:
                self.held[mark] -= 1
            else:
                del self.held[mark]


class Stretch:
    """What came between two marks, the first of which is `mark`.

    `last` is the event with the greatest `seq`: of bars, of those that were forming; `count` how many events
    came, `kept` those that nobody may miss: bars that closed or were revised, and corrections. The others are
    sums of trades; `first` is the least `seq`, whose price is `open`.
    """

    __slots__ = (
        "count",
        "direction",
        "first",
        "high",
        "kept",
        "last",
        "low",
        "mark",
        "open",
        "seq",
        "turnover",
        "volume",
    )

    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    turnover: Decimal
    direction: int

    def __init__(self, mark: int) -> None:
        self.mark = mark
        self.count = self.first = self.seq = 0
        self.last: StreamEvent | None = None
        self.kept: list[tuple[StreamEvent, int]] = []

    def take(self, event: StreamEvent, seq: int) -> None:
        """A book, a bar or a correction."""
        self.count += 1
        if not is_passing(event):
            self.kept.append((event, seq))
        elif seq > self.seq:
            self.last, self.seq = event, seq

    def take_trade(self, trade: Trade, seq: int, instrument: Instrument) -> None:
        """A trade, with the figures that it is shown with, so that the sums are those of what is shown."""
        price = trade.price
        volume = EXACT.quantize(trade.volume, QUANTA[instrument.volume_decimals])
        money = turnover(instrument, trade)
        if not self.count:
            self.count, self.first, self.seq, self.last = 1, seq, seq, trade
            self.open = self.high = self.low = price
            self.volume, self.turnover, self.direction = volume, money, trade.direction
            return
        self.count += 1
        self.volume = EXACT.add(self.volume, volume)
        self.turnover = EXACT.add(self.turnover, money)
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if trade.direction != self.direction:
            self.direction = 0
        if seq > self.seq:
            self.seq, self.last = seq, trade
        elif seq < self.first:
            self.first, self.open = seq, price

    def join(self, later: Stretch) -> None:
        """Takes in the stretch that follows."""
        if not later.count:
            return
        if type(later.last) is Trade:
            if not self.count:
                self.first, self.open, self.high, self.low = later.first, later.open, later.high, later.low
                self.volume, self.turnover, self.direction = later.volume, later.turnover, later.direction
            else:
                if later.first < self.first:
                    self.first, self.open = later.first, later.open
                self.high, self.low = max(self.high, later.high), min(self.low, later.low)
                self.volume = EXACT.add(self.volume, later.volume)
                self.turnover = EXACT.add(self.turnover, later.turnover)
                self.direction = self.direction if self.direction == later.direction else 0
        self.count += later.count
        self.kept += later.kept
        if later.seq > self.seq:
            self.seq, self.last = later.seq, later.last

    def several(self) -> SeveralTrades:
        """Its trades as one."""
        assert isinstance(self.last, Trade)  # noqa: S101
        return SeveralTrades(
            self.last,
            self.count,
            self.first,
            self.open,
            self.high,
            self.low,
            self.volume,
            self.turnover,
            self.direction,
        )


class Digest:
    """What a topic has carried since the oldest mark that is held."""

    __slots__ = ("_marks", "_newest", "_skipped", "_stretches", "mark", "users")

    def __init__(self, marks: Marks, newest: int) -> None:
        """`newest` is the `seq` of the last event before."""
        self._marks = marks
        self._newest = newest
        self._skipped: set[int] = set()
        self._stretches: list[Stretch] = []
        self.mark = 0
        """That of the last stretch: what came, came after that."""
        self.users = 0
        """Lanes with clients that read it."""

    def add(self, event: StreamEvent, seq: int, instrument: Instrument) -> None:
        """The next event of the topic. A trade that a scenario sends twice counts once."""
        marks = self._marks
        if seq != self._newest + 1 and not self._is_new(seq):
            return
        self._newest = max(self._newest, seq)
        marks.moved = True
        if self.mark != marks.newest:
            if len(self._stretches) > 2 * len(marks.held) + SPARE:
                self._compact()
            self._stretches.append(Stretch(marks.newest))
            self.mark = marks.newest
        if type(event) is Trade:
            self._stretches[-1].take_trade(event, seq, instrument)
        else:
            self._stretches[-1].take(event, seq)

    def since(self, mark: int) -> Stretch:
        """What came since that mark, which must be held."""
        found = Stretch(mark)
        start = len(self._stretches)
        while start and self._stretches[start - 1].mark >= mark:
            start -= 1
        for one in self._stretches[start:]:
            found.join(one)
        return found

    def kept(self, mark: int) -> int:
        """How many events came since then that nobody may miss."""
        return sum(len(one.kept) for one in self._stretches if one.mark >= mark)

    def _is_new(self, seq: int) -> bool:
        if seq > self._newest:
            if seq - self._newest <= MOST_SKIPPED >= len(self._skipped):
                self._skipped.update(range(self._newest + 1, seq))
            return True
        if seq in self._skipped:
            self._skipped.remove(seq)
            return True
        return False

    def _compact(self) -> None:
        """Joins what no mark divides, and lets go of what all have been given."""
        held = sorted(self._marks.held)
        found: list[Stretch] = []
        at = 0  # of the first held mark behind the last stretch
        for one in self._stretches:
            if not held or one.mark < held[0]:
                continue
            divided = not found
            while at < len(held) and held[at] <= one.mark:
                at += 1
                divided = True
            if divided:
                found.append(one)
            else:
                found[-1].join(one)
        self._stretches = found
