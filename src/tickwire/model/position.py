"""Where an event stands in its stream."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """A place in a stream: of one code and kind, of bars also of one type.

    An epoch begins when a server takes the stream over; a later one is the larger number, in microseconds.
    Within it `seq` grows, of trades by exactly one.
    """

    epoch: int
    seq: int
