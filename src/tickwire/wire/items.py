"""What a client wants, item by item (an extension, section 6): 28000, 28012 and 28014, and their answers."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import Kind, KlineType
from .messages import U32, Data, to_json
from .push import text_frame
from .ret import OK

MOST_ITEMS = 3_000
"""Items of one request."""

ItemKind: TypeAlias = Literal["trade", "depth", "kline", "correction"]
KIND: dict[str, Kind] = {kind.name.lower(): kind for kind in Kind}
"""By what an item calls it."""
State: TypeAlias = Literal[
    "ok", "already", "pending", "unknown", "unauthorized", "over_limit", "not_subscribed"
]


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
    and the `seq` of its last event, 0 if there is none yet."""

    state: State
    epoch: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET


class ChangedData(msgspec.Struct):
    """The data of 28013: every item that was named, in order."""

    added: list[ItemState]
    removed: list[ItemState]


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

    def answer(self, data: ChangedData | ListedData | HelloData) -> bytes:
        """The frame that answers it."""
        answer = DataResponse(OK.code, OK.msg, self.cmd_id + 1, self.seq_id, self.trace, data)
        return text_frame(to_json(answer))
