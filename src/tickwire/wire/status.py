"""Writes how a source is, for clients that subscribed to it (an extension, section 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .form import text_frame
from .messages import STATUS_PUSH, Flag, Push, to_json


class StatusData(msgspec.Struct):
    """How a source is: the data of 28997.

    `status` is `connecting`, `up`, `stale`, `down`, or `ended` after a replay, `since` when it became so, in
    milliseconds since the epoch, `reason` what failed, empty if nothing did; `simulated` is 1 if the source
    makes its data up.
    """

    source: str
    status: Annotated[str, Meta(extra_json_schema={"enum": ["connecting", "up", "stale", "down", "ended"]})]
    since: int
    reason: str
    simulated: Flag


def status_frame(data: StatusData) -> bytes:
    """The push as a whole WebSocket frame, the same for every client."""
    return text_frame(to_json(Push(STATUS_PUSH, data)))
