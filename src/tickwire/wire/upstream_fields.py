"""What is read of what a server sends, part by part: see `upstream`."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from ..model import Direction, Kind, KlineState, KlineType
from .items import MOST_ITEMS
from .messages import PUSH_COMMAND, Command
from .number import YEAR_1990, YEAR_2100

MOST_LINES = 10_000
"""Lines of one frame that are looked at."""
MOST_NAMED = 1000
"""Codes that one message names."""
EXCERPT = 120
"""Characters that are kept of what could not be read, and of a server's texts."""

Text = Annotated[str, Meta(min_length=1, max_length=40)]
Amount = Annotated[str, Meta(min_length=1, max_length=64)]
"""A turnover, or a sum of volumes."""
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=YEAR_1990 * 1000, lt=YEAR_2100 * 1000)]
Digits = Annotated[str, Meta(min_length=1, max_length=20)]


class HelloFields(msgspec.Struct):
    """What is read of who the server is."""

    plan: dict[str, str | int] = {}
    extensions: Annotated[list[int], Meta(max_length=MOST_NAMED)] = []


class ItemFields(msgspec.Struct):
    """What is read of what became of an item; `first` is the first event that follows, `seq` the last before
    what does. 0 stands for what is not said."""

    kind: Literal["trade", "depth", "kline", "correction"]
    code: Code
    state: Text
    kline_type: int = 0
    epoch: Seq = 0
    seq: Seq = 0
    first: Seq = msgspec.field(default=0, name="from")


class ChangedFields(msgspec.Struct):
    """What is read of a change of lists."""

    added: Annotated[list[ItemFields], Meta(max_length=MOST_ITEMS)] = []
    removed: Annotated[list[ItemFields], Meta(max_length=MOST_ITEMS)] = []


class ResumedFields(msgspec.Struct):
    """What is read of where streams go on."""

    items: Annotated[list[ItemFields], Meta(max_length=MOST_ITEMS)] = []


class ReplayedFields(msgspec.Struct):
    """What is read of a replay that begins."""

    id: Seq
    items: Annotated[list[ItemFields], Meta(max_length=MOST_ITEMS)] = []
    begin: Seq = 0
    end: Seq = 0


class ReplayFields(msgspec.Struct):
    """What is read of where a replay stands."""

    state: Text
    time: Seq = 0
    items: Annotated[list[ItemFields], Meta(max_length=MOST_ITEMS)] = []
    reason: Annotated[str, Meta(max_length=10_000)] = ""


class TimedFields(msgspec.Struct, kw_only=True, gc=False):
    """What is read of when an event came and went."""

    receive_time: Seq = 0
    publish_time: Seq = 0
    send_time: Seq = 0


class TradeFields(TimedFields, gc=False):
    """What is read of a trade."""

    code: Code
    tick_time: Millis | Digits
    price: Text
    volume: Text
    turnover: Amount | None = None
    trade_direction: int = Direction.NEUTRAL
    seq: Seq | Digits = 0
    trades: Seq | Digits = 0
    open_price: Text = ""
    high_price: Text = ""
    low_price: Text = ""
    first_seq: Seq | Digits = 0


class LevelFields(msgspec.Struct, gc=False):
    """What is read of a level."""

    price: Text
    volume: Text


Side = Annotated[list[LevelFields], Meta(max_length=1000)]


class BookFields(TimedFields, gc=False):
    """What is read of a book."""

    code: Code
    tick_time: Millis | Digits
    bids: Side | None
    asks: Side | None
    seq: Seq | Digits = 0


class BarFields(msgspec.Struct, gc=False):
    """What is read of a bar; `timestamp` is its open time in seconds."""

    timestamp: Digits
    open_price: Text
    high_price: Text
    low_price: Text
    close_price: Text
    volume: Amount
    turnover: Amount


class KlineFields(BarFields, kw_only=True, gc=False):
    """What is read of a bar that is pushed."""

    code: Code
    kline_type: KlineType
    state: KlineState
    incomplete: int = 0
    removed: int = 0
    seq: Seq | Digits = 0
    trade_seq: Seq | Digits = 0
    receive_time: Seq = 0
    publish_time: Seq = 0
    send_time: Seq = 0


class CorrectedFields(TimedFields, kw_only=True, gc=False):
    """What is read of a correction."""

    code: Code
    tick_time: Millis | Digits
    action: Literal["correct", "cancel"]
    trade_seq: Seq | Digits = 0
    trade_time: Millis | Digits
    was_price: Text
    was_volume: Text
    was_turnover: Text
    was_direction: int = Direction.NEUTRAL
    price: Text
    volume: Text
    turnover: Text
    trade_direction: int = Direction.NEUTRAL
    seq: Seq | Digits = 0


class StatusFields(msgspec.Struct, gc=False):
    """What is read of how a source is."""

    source: Annotated[str, Meta(max_length=1000)]
    status: Text
    since: Millis | Digits
    reason: Annotated[str, Meta(max_length=10_000)] = ""
    simulated: int = 0


class StateFields(msgspec.Struct, gc=False):
    """What is read of what an instrument does."""

    code: Code
    state: Text
    time: Millis | Digits


class SparedFields(msgspec.Struct, gc=False):
    """What is read of what we were spared."""

    kind: Literal["trade", "depth", "kline"]
    dropped: Seq | Digits
    codes: Annotated[list[Code], Meta(max_length=MOST_NAMED)]
    since: Millis | Digits


class GapFields(msgspec.Struct, gc=False):
    """What is read of where a stream goes on."""

    kind: Literal["trade", "depth", "kline", "correction"]
    code: Code
    epoch: Seq
    first: Seq = msgspec.field(name="from")
    gap: int
    kline_type: int = 0


class TradePush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.TRADE], gc=False):
    """22998."""

    data: TradeFields


class BookPush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.DEPTH], gc=False):
    """22999."""

    data: BookFields


class KlinePush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.KLINE], gc=False):
    """28998, an extension."""

    data: KlineFields


class CorrectionPush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.CORRECTION], gc=False):
    """28992, an extension."""

    data: CorrectedFields


Fields: TypeAlias = TradeFields | BookFields | KlineFields | CorrectedFields
Shape = TypeVar("Shape", bound=msgspec.Struct)
FIELDS: dict[int, type[Fields]] = {
    PUSH_COMMAND[Kind.TRADE]: TradeFields,
    PUSH_COMMAND[Kind.DEPTH]: BookFields,
    PUSH_COMMAND[Kind.KLINE]: KlineFields,
    PUSH_COMMAND[Kind.CORRECTION]: CorrectedFields,
}
ANSWERS: dict[int, type[HelloFields | ChangedFields | ResumedFields | ReplayedFields]] = {
    Command.HELLO + 1: HelloFields,
    Command.CHANGE + 1: ChangedFields,
    Command.RESUME + 1: ResumedFields,
    Command.REPLAY + 1: ReplayedFields,
}
