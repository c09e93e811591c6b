"""The contract between the market side, which numbers events, and the client side, which serves them.

A stream is the events of one code and kind, of bars also of one type. It is opened once at each receiver, and
what it carries from then on goes into the inlet that the receiver gave, in order. Each event has its place in
the stream, given by the market once: positions grow, so that whoever sees a hole knows what to ask for. The
market never waits for a receiver.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol, TypeAlias

from ..model import Event, Instrument, Kind, KlineUpdate

StreamEvent: TypeAlias = Event | KlineUpdate
"""What a stream carries."""


class Lack(StrEnum):
    """Why an answer is not whole: the store cannot be read, or not all is written to it; or the source has
    not given the rest yet, or not said yet what some codes are."""

    STORE = "store"
    UPSTREAM = "upstream"


class Inlet(Protocol):
    """Where the events of one stream go in at a receiver."""

    def take(self, event: StreamEvent, seq: int) -> None:
        """The next event, which is sent on to whoever wants it. A scenario may repeat one, or send it behind
        the next one."""


class Receiver(Protocol):
    """A client side, as the market knows it."""

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Inlet:
        """A stream begins, or is there already when the receiver joins. Asked once for each."""

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""
