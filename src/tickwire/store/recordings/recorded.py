"""An event of a recording."""

from __future__ import annotations

from typing import NamedTuple

from ...model import Event, Market


class Recorded(NamedTuple):
    """An event as it was recorded.

    `received` is when it came, in microseconds since the epoch; `seq` the number that we gave it.
    """

    event: Event
    received: int
    seq: int
    market: Market
