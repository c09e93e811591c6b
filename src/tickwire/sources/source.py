"""The contract of all sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from ..model import Event, Instrument, Kline, KlineType


class Source(Protocol):
    """Where events come from.

    The times of the events are the source's own. Per code and kind the order of the events is the order
    in which they happened.
    """

    name: str
    """Its origin, as people and programs see it: `simulator`, `replay:NAME`."""
    simulated: bool
    """Whether the data is made up."""
    codes: Collection[str]
    """What it yields without being asked; never empty."""
    patient: bool
    """Whether it may be made to wait for slow clients; live data never is."""

    @property
    def round_the_clock(self) -> bool:
        """Whether its markets are always open, whatever their calendars say."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """The stream, once. Gives way to the event loop at least every few hundred events.

        Raises InputError if the data turns out to be unusable.
        """
        ...

    def market_time(self) -> int:
        """The market's clock, in milliseconds since the epoch: the wall clock, or a recording's.

        What has ended by it has ended, whether or not an event said so; 0 before the stream begins.
        """
        ...

    def past(self, instrument: Instrument, first: Kline) -> dict[KlineType, list[Kline]]:
        """Bars before the first minute bar that there is of an instrument, by type and ascending.

        Empty if the source has no past. The last bar of a type may end in the middle: then it is the part
        before `first` of a bar that goes on. May take a tenth of a second; safe to call in a thread.
        """
        ...

    def want(self, codes: Collection[str], *, subscribed: bool) -> bool:
        """These codes of the catalogue are asked for, by a subscription or by an HTTP request.

        Called again every minute while a subscription lasts. Returns whether the source will yield an
        event of each soon that it has not yielded before, so that it is worth waiting for.
        """
        ...
