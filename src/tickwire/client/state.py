"""How a link is, and what a link tells."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from ..wire import Happening


class LinkStatus(StrEnum):
    """What a link has come to."""

    CONNECTING = "connecting"
    UP = "up"
    STALE = "stale"
    DOWN = "down"


class State(NamedTuple):
    """How a link is.

    `since` is in seconds of the link's clock. STALE: connected, yet a request is unanswered for half of the
    time after which the connection counts as dead. DOWN: `again` is in how many seconds it connects anew,
    None if it does not; `http_status` that of a refusal to connect, else 0; `untrusted` if the server's
    certificate is refused.
    """

    link: str
    status: LinkStatus
    since: float
    reason: str = ""
    again: float | None = None
    http_status: int = 0
    untrusted: bool = False


class Missed(NamedTuple):
    """So many events were dropped here, because the owner was slower than the market."""

    events: int


Told: TypeAlias = Happening | State | Missed
"""What the owner of a link is told, in order."""
