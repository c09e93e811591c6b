"""Writes what an instrument does, for clients that follow it (an extension, section 6)."""

from __future__ import annotations

import msgspec

from .form import text_frame
from .messages import STATE_PUSH, Push, to_json
from .overview import StateName


class StateData(msgspec.Struct):
    """What an instrument does: the data of 28994. `state` is that of /v1/instruments, `time` when the server
    saw it, in milliseconds since the epoch."""

    code: str
    state: StateName
    time: int


def state_frame(data: StateData) -> bytes:
    """The push as a whole frame."""
    return text_frame(to_json(Push(STATE_PUSH, data)))
