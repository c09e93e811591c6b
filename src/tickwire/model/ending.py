"""Why connections end."""

from __future__ import annotations

from enum import StrEnum


class Ending(StrEnum):
    """Why a WebSocket ended, in a word, beside the code and the sentence of its close frame."""

    CLIENT = "client"
    """The client closed it."""
    LOST = "lost"
    """The connection broke without a close frame."""
    HEARTBEAT = "heartbeat"
    """Nothing came for too long."""
    UNFINISHED = "unfinished"
    """A message was not completed in time."""
    PROTOCOL = "protocol"
    """What came is against RFC 6455, too long, or no UTF-8."""
    RATE = "rate"
    """It asked too fast."""
    SLOW = "slow"
    """It took too little of what it was sent."""
    TOKEN = "token"  # noqa: S105  # it counts no more
    TAKEOVER = "takeover"
    """Another connection of the token took its place."""
    SCENARIO = "scenario"
    SHUTDOWN = "shutdown"
    """The server stopped."""
    ERROR = "error"
    """It failed on our side."""
