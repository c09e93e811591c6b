"""What becomes of clients that cannot keep up."""

from __future__ import annotations

from enum import StrEnum


class Slow(StrEnum):
    """What a client is sent that takes less than comes.

    CLOSE: all of it, until it is closed for what it has not taken. CONFLATE: the newest book, the trades
    since the last one as one, the newest of each bar that is forming. DROP: of what waits the newest part.
    """

    CLOSE = "close"
    CONFLATE = "conflate"
    DROP = "drop"
