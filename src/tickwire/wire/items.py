"""What a client wants, item by item (an extension, section 6): 28000, 28012 to 28016, and their answers."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import Kind, KlineType, Position
from .form import text_frame
from .messages import GAP_PUSH, U32, Data, Push, to_json
from .ret import OK, Ret

MOST_ITEMS = 3_000
"""Items of one request."""

ItemKind: TypeAlias = Literal["trade", "depth", "kline", "correction"]
KIND: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}
"""By what an item calls it."""
State: TypeAlias = Literal[
    "ok", "already", "pending", "unknown", "unauthorized", "over_limit", "not_subscribed", "resumed", "gap"
]
Place: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""An `epoch` or a `seq`."""


class Item(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A stream: `depth_level` is of books, 0 for all levels, `kline_type` of K-lines, which need it."""

    kind: ItemKind
    code: str
    depth_level: U32 = 0
    kline_type: Annotated[int, Meta(ge=0, le=len(KlineType))] = 0

    def __post_init__(self) -> None:
        if (self.kind == "kline") is not bool(self.kline_type):
            raise ValueError("kline_type is that of K-lines, which need it")
        if self.depth_level and self.kind != "depth":
            raise ValueError("depth_level is that of books")


class ChangeData(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 28012: what leaves the lists, then what joins them; one of the two at least."""

    add: Annotated[list[Item], Meta(max_length=MOST_ITEMS)] = []
    remove: Annotated[list[Item], Meta(max_length=MOST_ITEMS)] = []

    def __post_init__(self) -> None:
        if not 1 <= len(self.add) + len(self.remove) <= MOST_ITEMS:
            raise ValueError(f"add and remove have 1 to {MOST_ITEMS} items together")


class ItemState(Item, kw_only=True):
    """What became of an item. What was taken has the position that it goes on from: the `epoch` of the stream
    and the `seq` of its last event, 0 if there is none yet. A pattern, and what is pending, has the `epoch`
    alone."""

    state: State
    epoch: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET


class ChangedData(msgspec.Struct):
    """The data of 28013: every item that was named, in order."""

    added: list[ItemState]
    removed: list[ItemState]


class ResumeItem(Item, kw_only=True):
    """A stream and the position of the last event that the client has of it: the `epoch` that it was told
    last, and the `seq`, 0 if it has none."""

    epoch: Place
    seq: Place

    @property
    def position(self) -> Position:
        """The place in the stream."""
        return Position(self.epoch, self.seq)


class ResumeData(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 28016."""

    items: Annotated[list[ResumeItem], Meta(min_length=1, max_length=MOST_ITEMS)]


class ResumedItem(Item, kw_only=True, rename={"first": "from"}):
    """What became of an item of 28016: `resumed`, nothing lies between what the client has and what follows;
    `gap`, what lies between cannot be had any more. What follows begins at `first` of this `epoch`."""

    state: State
    epoch: int | UnsetType = UNSET
    first: int | UnsetType = UNSET


class ResumedData(msgspec.Struct):
    """The data of 28017: every item that was named, in order."""

    items: list[ResumedItem]


class GapData(msgspec.Struct, rename={"first": "from"}, omit_defaults=True):
    """The data of 28993: a stream goes on at `first` of this `epoch`, behind an outage. Either (`gap` 1) what
    lies between that and the last event before cannot be had, or (`gap` 0) it follows, and comes late. In a
    `replay`, by its number, it is the recording that lacks it; `epoch` is 0 where it is of an earlier run."""

    kind: ItemKind
    code: str
    epoch: int
    first: int
    gap: Annotated[int, Meta(ge=0, le=1)]
    kline_type: Annotated[int, Meta(ge=0, le=len(KlineType))] = 0
    replay: int = 0


def gap_frame(kind: Kind, code: str, kline_type: int, begin: Position, *, gap: bool = True) -> bytes:
    """The push that says that a stream goes on there, and whether it lacks what was before, as a whole
    frame."""
    data = GapData(kind.name.lower(), code, *begin, int(gap), kline_type)  # type: ignore[arg-type]
    return text_frame(to_json(Push(GAP_PUSH, data)))


def recorded_gap(kind: Kind, code: str, begin: Position, replay: int) -> bytes:
    """The same of a stream that is replayed, without a frame: what was recorded lacks what was before."""
    return to_json(Push(GAP_PUSH, GapData(kind.name.lower(), code, *begin, 1, replay=replay)))  # type: ignore[arg-type]


class ListedData(msgspec.Struct):
    """The data of 28015: all that the connection is subscribed to."""

    items: list[Item]


class HelloData(msgspec.Struct):
    """The data of 28001.

    `time` is the server's clock in milliseconds since the epoch; `plan` has the limits of the token by name,
    without those that it has not; `extensions` are the numbers of requests beyond AllTick's that are
    answered, `encodings` how messages may be written. A client that was cut may ask for what it missed in
    the last `resume_seconds`; 0: it may not.
    """

    server: str
    version: str
    time: int
    plan: dict[str, str | int]
    extensions: list[int]
    encodings: list[str]
    resume_seconds: int


class DataResponse(msgspec.Struct, Generic[Data]):
    """The answer to a request over WebSocket that holds data, if all is well; else it is a Response."""

    ret: int
    msg: str
    cmd_id: int
    seq_id: int
    trace: str
    data: Data


class Header(NamedTuple):
    """That of a request whose answer holds data."""

    cmd_id: int
    seq_id: int
    trace: str

    def answer(self, data: msgspec.Struct, ret: Ret = OK) -> bytes:
        """The frame that answers it."""
        answer = DataResponse(ret.code, ret.msg, self.cmd_id + 1, self.seq_id, self.trace, data)
        return text_frame(to_json(answer))
