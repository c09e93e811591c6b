"""All that a watcher sees: a row for each code, how the connections are, what was missed. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence

from ...client import Book, Event, Gap, Kline, Status, Trade
from ...client.shown import codes_of, some
from ...client.state import LinkStatus
from ...model import Family, Kind
from ...wire import MarketState, Refusal, Spared
from ..records import KINDS, spared_line
from .row import Row

RATE_SECONDS = 5.0
"""Over which events per second are counted."""


class Board:
    """The codes, each once, and the connections by family. `gaps` counts from the start.

    `heard` is when the last event came, in seconds of any clock that `take` is given; None before it.
    `notice` is the last thing that somebody should know, "" for nothing.
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self.rows = {code: Row(code) for code in codes}
        self.statuses: dict[Family, Status] = {}
        self.gaps = 0
        self.heard: float | None = None
        self.notice = ""
        self._connected: Counter[Family] = Counter()
        self._counts: deque[tuple[float, int]] = deque()

    def take(self, events: Iterable[Event], now: float) -> None:
        """Events of the feed came, at that time."""
        ticks = 0
        rows = self.rows
        for event in events:
            if type(event) is Trade:
                rows[event.code].take_trade(event)
                ticks += 1
            elif type(event) is Book:
                rows[event.code].take_book(event)
                ticks += 1
            elif isinstance(event, Kline):
                rows[event.code].take_bar(event)
            elif isinstance(event, MarketState):
                rows[event.code].take_state(event.state)
            elif isinstance(event, Status):
                self._take_status(event)
            elif isinstance(event, Gap):
                self.gaps += 1
                self.notice = gap_line(event)
            elif isinstance(event, Spared):
                self.notice = spared_line(event)
            elif isinstance(event, Refusal) and event.kind is not Kind.KLINE:
                self._take_refusal(event)
        if ticks:
            self.heard = now
            self._counts.append((now, ticks))

    @property
    def reconnects(self) -> int:
        """How often a connection had to be made again."""
        return sum(count - 1 for count in self._connected.values())

    def rate(self, now: float) -> float:
        """Trades and books per second."""
        while self._counts and self._counts[0][0] <= now - RATE_SECONDS:
            self._counts.popleft()
        return sum(count for _, count in self._counts) / RATE_SECONDS

    def _take_status(self, status: Status) -> None:
        before = self.statuses.get(status.family)
        if status.state is LinkStatus.UP and (before is None or before.state is not LinkStatus.STALE):
            self._connected[status.family] += 1
        self.statuses[status.family] = status
        if status.reason:
            self.notice = f"{status.family} {status.state}: {status.reason}"

    def _take_refusal(self, refusal: Refusal) -> None:
        """A subscription was refused: pushed K-lines are not missed, for they are read over HTTP too."""
        for key in refusal.keys:
            if refusal.again is None:
                self.rows[str(key)].take_note(refusal.msg)
        self.notice = refusal_line(refusal)


def gap_line(gap: Gap) -> str:
    times = " to ".join(f"{one:%H:%M:%S}" for one in (gap.begin, gap.end) if one is not None)
    kind = "" if gap.kind is None else f"{KINDS[gap.kind]}s"
    missed = "" if gap.missed is None else f"{gap.missed} missed"
    return "  ".join(part for part in ("gap:", gap.code, kind, times, missed, gap.reason) if part)


def refusal_line(refusal: Refusal) -> str:
    again = "" if refusal.again is None else f", asked again in {refusal.again:.0f} s"
    what = f"{KINDS[refusal.kind]}s of {some(codes_of(refusal.keys))}"
    return f"refused: {what}: {refusal.msg} ({refusal.ret}){again}"
