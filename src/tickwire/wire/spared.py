"""Writes what a client was spared that could not keep up (an extension, section 6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ..model import Kind
from .form import text_frame
from .messages import SPARED_PUSH, Push, to_json

MOST_CODES = 20
"""Codes that are named."""


class SparedData(msgspec.Struct):
    """What a client was spared of one kind: the data of 28995.

    `dropped` is how many events it was not sent as themselves: those that were left out, books and bars in
    whose place a newer one came, and trades that came as one. `codes` are those of the first ones, `since` is
    from when on they are counted, in milliseconds since the epoch.
    """

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["trade", "depth", "kline"]})]
    dropped: Annotated[int, Meta(ge=1)]
    codes: Annotated[list[str], Meta(max_length=MOST_CODES)]
    since: int


def spared_frame(kind: Kind, dropped: int, codes: list[str], since: int) -> bytes:
    """The push as a whole WebSocket frame; of the codes the first ones are named."""
    data = SparedData(kind.name.lower(), dropped, codes[:MOST_CODES], since)
    return text_frame(to_json(Push(SPARED_PUSH, data)))
