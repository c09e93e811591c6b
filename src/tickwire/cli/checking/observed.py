"""What was seen of a family's stream. Pure: events and times in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ...client import Book, Event, Gap, Status, Trade
from ...client.state import LinkStatus
from ...model import Kind
from ...wire import Refusal, Subscribed

Key: TypeAlias = tuple[Kind, str]
LEAST_STEPS = 4
"""So many steps show whether a server numbers one by one."""


class Sequence:
    """The numbers of one stream: section 2 of the protocol, "Push". Each event comes here once."""

    def __init__(self) -> None:
        self.last = self.seen = 0
        self.steps = self.by_one = self.late = 0
        self.missing: set[int] = set()

    def take(self, number: int) -> None:
        """The next event has that number, 0 for none."""
        self.seen += 1
        if self.last and number > self.last:
            self.steps += 1
            self.by_one += number == self.last + 1
            if number - self.last < 10_000:  # more than that is not a gap but another way to count
                self.missing.update(range(self.last + 1, number))
        elif number < self.last:
            self.late += 1
            self.missing.discard(number)
        self.last = max(self.last, number)

    def begin_anew(self) -> None:
        """What comes next need not follow."""
        self.last = self.seen = 0


class Observed:
    """A family's stream from `began` on. Times are in seconds: those of `took` and `when` of a monotonic
    clock, `ages` are by how much events that came live were older than our clock.

    `up_at`, `taken_at`, `tick_at`: when the connection was there, the server had taken the subscriptions,
    and the first event came; None if that never was. `not_let_in` says why no connection could be made at
    first, `losses` why connections ended.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.up_at: float | None = None
        self.taken_at: float | None = None
        self.tick_at: float | None = None
        self.events = 0
        self.ages: list[float] = []
        self.not_let_in: list[str] = []
        self.losses: list[str] = []
        self.refusals: list[Refusal] = []
        self.unreadable: list[str] = []
        self.sequences: dict[Key, Sequence] = {}
        self._up = False

    def take(self, events: Iterable[Event], when: float, wall: float) -> None:
        """Events that came at that moment, by both clocks."""
        for event in events:
            if isinstance(event, (Trade, Book)):
                self.events += 1
                self.tick_at = self.tick_at or when
                kind = Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH
                sequence = self.sequences.setdefault((kind, event.code), Sequence())
                if sequence.seen:  # the first of a subscription is the last known one, of whatever age
                    self.ages.append(wall - event.time_ms / 1000)
                sequence.take(event.seq)
            elif isinstance(event, Status):
                self._take_status(event, when)
            elif isinstance(event, Subscribed):
                self.taken_at = self.taken_at or when
            elif isinstance(event, Refusal):
                self.refusals.append(event)
            elif isinstance(event, Gap):
                if event.kind is None:
                    self.unreadable.append(event.reason)
                elif (known := self.sequences.get((event.kind, event.code))) is not None:
                    known.begin_anew()

    def _take_status(self, status: Status, when: float) -> None:
        if status.state is LinkStatus.UP:
            self._up = True
            self.up_at = self.up_at or when
        elif status.state is LinkStatus.DOWN:
            if self._up:
                self.losses.append(status.reason)
            elif self.up_at is None:
                self.not_let_in.append(status.reason)
            self._up = False
