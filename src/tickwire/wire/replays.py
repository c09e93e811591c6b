"""Replays of a client's own (an extension, section 6): 28018, 28020, and the push 28996."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import Kind, Position
from .form import text_frame
from .items import MOST_ITEMS, Item, Place, ResumedItem
from .messages import REPLAY_PUSH, Push, to_json

Millis: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Milliseconds since the epoch."""
Speed: TypeAlias = Annotated[float, Meta(ge=0, le=1_000_000)]
"""1 is as it was, 0 as fast as it is read."""
Flag: TypeAlias = Annotated[int, Meta(ge=0, le=1)]
Action: TypeAlias = Literal["pause", "resume", "step", "seek", "speed", "stop"]
Stage: TypeAlias = Literal["began", "paused", "complete", "live", "stopped"]
ReplayState: TypeAlias = Literal["ok", "unknown", "unauthorized", "over_limit", "unavailable"]


class ReplayData(msgspec.Struct, forbid_unknown_fields=True, rename={"begin": "from", "end": "to"}):
    """The data of 28018: which items, from when (milliseconds of the source's time) up to when, `to` itself
    left out; 0: to the end and on into live. With `step` it is paused before its first event."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=MOST_ITEMS)]
    begin: Millis = 0
    end: Millis = 0
    speed: Speed = 1
    step: Flag = 0

    def __post_init__(self) -> None:
        if 0 < self.end <= self.begin:
            raise ValueError("to is not after from")


class ReplayItem(Item, kw_only=True):
    """What became of an item of 28018: `unavailable`, nothing is recorded of it."""

    state: ReplayState


class ReplayedData(msgspec.Struct):
    """The data of 28019: the number of the replay, 0 if there is none, since no item can be had; every item
    that was named, in order; and from when to when there is something of them, 0 if there is nothing."""

    id: int
    items: list[ReplayItem]
    begin: int
    end: int


class ControlData(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 28020; `time` is where `seek` goes on, `speed` the new one of `speed`."""

    id: Place
    action: Action
    time: Millis | UnsetType = UNSET
    speed: Speed | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.action == "seek") is (self.time is UNSET):
            raise ValueError("time is that of seek, which needs it")
        if (self.action == "speed") is (self.speed is UNSET):
            raise ValueError("speed is that of speed, which needs it")


class ReplayStateData(msgspec.Struct, omit_defaults=True):
    """The data of 28996: where a replay stands, at which time of the source (0: before its first event).
    `items`, once it is `live`, go on there: see 28017. `reason` says why it was stopped, where its client
    did not ask for that."""

    id: int
    state: Stage
    time: int
    items: list[ResumedItem] | UnsetType = UNSET
    reason: str = ""


def replay_frame(data: ReplayStateData) -> bytes:
    """The push that says where a replay stands, as a whole frame."""
    return text_frame(to_json(Push(REPLAY_PUSH, data)))


class Hole(NamedTuple):
    """Before a recorded event of a stream some are missing: its position, whose epoch is 0 where it is of an
    earlier run, its place in the order, and its time."""

    kind: Kind
    code: str
    begin: Position
    place: int
    time: int
