"""Bars that are made up: the contract of a past."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple, Protocol

from ..model import Kline, KlineType


class Reach(NamedTuple):
    """The bars of a type between two moments, in seconds, which are made of those of another type; days are
    made of none (`Past.days`)."""

    kline_type: KlineType
    made_of: KlineType | None
    begin: int
    end: int


class Past(Protocol):
    """The bars before the first minute bar that there is of an instrument, made in parts when asked for.

    Bars of all types agree. Safe to call in a thread. `first` is the open time of that minute, in seconds.
    """

    key: str
    """How it is made. Bars that were made are gone on with by a past of the same key."""

    def begin(self, first: Kline) -> dict[KlineType, list[Kline]]:
        """The latest days, and what of each type leads up to the first minute, ascending.

        The last bar of a type may end in the middle: then it is the part before `first` of a bar that goes
        on.
        """
        ...

    def reach(self, kline_type: KlineType, first: int, count: int, end: int | None) -> list[Reach]:
        """What must have been made for the latest `count` bars up to `end` (in seconds; None: the first
        minute), each before what is made of it. Empty where `begin` has made all."""
        ...

    def days(self, begin: int, end: int, first: int, price: Decimal) -> list[Kline]:
        """The days between two moments, ascending, that lead up to the first minute, which opened at that
        price. May take some hundredths of a second."""
        ...

    def make(self, kline_type: KlineType, bars: Iterable[Kline], first: int) -> list[Kline]:
        """The bars of a type from those that they are made of, ascending; all of these end before the first
        minute."""
        ...
