"""Reads what a server sends over WebSocket, hostile until parsed: sections 2 and 6, from the client's side.

The documented form is decoded straight into types. What does not fit is tried again with tolerance:
numbers as strings and strings as numbers, nulls, several lines in a frame. All is bounded: lengths,
levels, decimals, times; so whatever comes costs time and memory in proportion to its bytes.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta

from ..model import (
    Book,
    Correction,
    Direction,
    Kind,
    Kline,
    KlineType,
    KlineUpdate,
    Level,
    Trade,
    moment,
    side,
)
from .following import MarketState
from .messages import GAP_PUSH, REPLAY_PUSH, SPARED_PUSH, STATE_PUSH, STATUS_PUSH
from .number import (
    UNREADABLE,
    amount,
    known,
    learn,
    millis,
    number,
    seconds,
    signed,
    whole,
)
from .ret import OK
from .upstream_fields import (
    ANSWERS,
    EXCERPT,
    FIELDS,
    MOST_LINES,
    BarFields,
    BookFields,
    BookPush,
    ChangedFields,
    CorrectedFields,
    CorrectionPush,
    GapFields,
    HelloFields,
    ItemFields,
    KlineFields,
    KlinePush,
    LevelFields,
    ReplayedFields,
    ReplayFields,
    ResumedFields,
    Shape,
    SparedFields,
    StateFields,
    StatusFields,
    TradeFields,
    TradePush,
)


class Several(NamedTuple):
    """Trades that came as one: how many, the first one's price, the highest and the lowest, and the first
    one's `seq`."""

    number: int
    open: Decimal
    high: Decimal
    low: Decimal
    first_seq: int


class Times(NamedTuple):
    """When an event was received by the server, went into its stream, and was sent, in microseconds since the
    epoch; 0 where the server does not say."""

    received: int
    published: int
    sent: int


class Pushed(msgspec.Struct, frozen=True, gc=False):
    """An event that the server pushed, or answered over HTTP.

    `seq` is the server's number of it, which grows per code and kind; 0 if it has none. A trade carries it
    as its `source_seq` too; one in place of several has their sums, and `several` says more of them. A bar
    has in `trade_seq` the number of the last trade that it counts, 0 where the server does not say. `times`
    are there if the server was asked for them.
    """

    event: Trade | Book | KlineUpdate | Correction
    seq: int
    several: Several | None = None
    trade_seq: int = 0
    times: Times | None = None


class ReplayMoved(NamedTuple):
    """Where a replay stands, at which time of the source in milliseconds; once it is live, what became of
    each of its items."""

    state: str
    time_ms: int
    items: tuple[ItemFields, ...]
    reason: str


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request; `cmd_id` and `seq_id` are 0 where they were missing. `data` is there where
    something is read of it and all is well."""

    cmd_id: int
    ret: int
    msg: str
    seq_id: int
    data: HelloFields | ChangedFields | ResumedFields | ReplayedFields | None = None


class GoesOn(msgspec.Struct, frozen=True):
    """A stream goes on at `first` of this epoch; `gap`: what lies between cannot be had any more."""

    kind: Kind
    code: str
    kline_type: int
    epoch: int
    first: int
    gap: bool


class Bad(msgspec.Struct, frozen=True, gc=False):
    """What could not be read in a frame: why, how the first of it begins, and how many lines there were."""

    reason: str
    text: str
    lines: int = 1


class SourceStatus(msgspec.Struct, frozen=True):
    """How a source of the server is since `time`.

    `status` is "connecting", "up", "stale", "down", or "ended" after a replay; `reason` says what failed;
    `simulated` if the data is made up. A server that does not say how its sources are has one without a name
    whose status is "unknown".
    """

    source: str
    status: str
    time_ms: int
    reason: str = ""
    simulated: bool = False

    @property
    def time(self) -> datetime:
        """When it became so, in UTC."""
        return moment(self.time_ms)


class Spared(msgspec.Struct, frozen=True):
    """What the server did not send as it came, since we did not take it fast enough.

    `dropped` events of a kind were left out, replaced by newer ones, or trades came as one, from `since_ms`
    on. `codes` are those of the first ones, twenty at the most.
    """

    kind: Kind
    dropped: int
    codes: tuple[str, ...]
    since_ms: int

    @property
    def since(self) -> datetime:
        """From when on, in UTC, by the server's clock."""
        return moment(self.since_ms)


Message: TypeAlias = Pushed | Answer | SourceStatus | MarketState | Spared | GoesOn | ReplayMoved
Incoming: TypeAlias = Message | Bad


_push = msgspec.json.Decoder(TradePush | BookPush | KlinePush | CorrectionPush).decode
_pushes = msgspec.json.Decoder(list[TradePush | BookPush | KlinePush | CorrectionPush]).decode
_parts = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(max_length=MOST_LINES)]).decode
_anything = msgspec.json.Decoder(float_hook=str).decode  # a float's own text, which is exact


def read(frame: bytes) -> list[Incoming]:
    """All messages of a frame, in order; what could not be read comes last, as one Bad. Never raises."""
    try:
        return [pushed(_push(frame).data)]
    except UNREADABLE:
        return _read_again(frame)


def read_several(frame: bytes) -> list[Incoming]:
    """The same of a frame that may be an array of messages."""
    try:
        return [pushed(one.data) for one in _pushes(frame)]
    except UNREADABLE:
        pass
    try:
        parts = _parts(frame)
    except UNREADABLE:
        return read(frame)
    return [message for part in parts for message in read(bytes(part))]


def _read_again(frame: bytes) -> list[Incoming]:
    try:
        return [_tolerant(frame)]
    except UNREADABLE as error:
        reason, first = str(error), frame
    lines = frame.split(b"\n", MOST_LINES)
    found: list[Incoming] = []
    bad = 0
    for line in lines if len(lines) > 1 else ():
        if not (text := line.strip()):
            continue
        try:
            found.append(_line(text))
        except UNREADABLE as error:
            if not bad:
                reason, first = str(error), text
            bad += 1
    if bad or not found:
        found.append(Bad(reason[:EXCERPT], first[:EXCERPT].decode(errors="replace"), bad or 1))
    return found


def _line(text: bytes) -> Message:
    try:
        return pushed(_push(text).data)
    except UNREADABLE:
        return _tolerant(text)


def _tolerant(text: bytes) -> Message:
    """A message in any form that says what the documented one does. Raises one of UNREADABLE."""
    message = _anything(text)
    if not isinstance(message, dict):
        raise ValueError("not an object")
    cmd_id = whole(message.get("cmd_id"))
    if (shape := FIELDS.get(cmd_id)) is not None:
        return pushed(fields(message.get("data"), shape))
    if cmd_id == STATUS_PUSH:
        one = fields(message.get("data"), StatusFields)
        since = one.since if type(one.since) is int else millis(str(one.since))
        return SourceStatus(one.source, one.status, since, one.reason[:EXCERPT], bool(one.simulated))
    if cmd_id == STATE_PUSH:
        does = fields(message.get("data"), StateFields)
        return MarketState(
            does.code, does.state, does.time if type(does.time) is int else millis(str(does.time))
        )
    if cmd_id == SPARED_PUSH:
        left = fields(message.get("data"), SparedFields)
        from_when = left.since if type(left.since) is int else millis(str(left.since))
        return Spared(Kind[left.kind.upper()], whole(left.dropped), tuple(left.codes), from_when)
    if cmd_id == GAP_PUSH:
        hole = fields(message.get("data"), GapFields)
        return GoesOn(
            Kind[hole.kind.upper()], hole.code, hole.kline_type, hole.epoch, hole.first, bool(hole.gap)
        )
    if cmd_id == REPLAY_PUSH:
        moved = fields(message.get("data"), ReplayFields)
        return ReplayMoved(moved.state, moved.time, tuple(moved.items), moved.reason[:EXCERPT])
    if "ret" not in message:
        raise ValueError(f"unknown cmd_id {cmd_id}")
    msg, ret = message.get("msg"), whole(message["ret"])
    shown = ANSWERS.get(cmd_id) if ret == OK.code else None
    return Answer(
        cmd_id,
        ret,
        msg[:EXCERPT] if isinstance(msg, str) else "",
        whole(message.get("seq_id")),
        None if shown is None else fields(message.get("data"), shown),
    )


def fields(data: Any, shape: type[Shape]) -> Shape:
    """Data in any form, as one of the shapes above. Raises msgspec.ValidationError."""
    return msgspec.convert(documented(data), shape, strict=False)


def documented(data: Any) -> Any:
    """The data without nulls, except for the sides of a book, and with numbers as the documents have them."""
    if not isinstance(data, dict):
        return data
    known: dict[str, Any] = {}
    for name, value in data.items():
        if name in ("bids", "asks"):
            known[name] = [documented(one) for one in value] if isinstance(value, list) else value
        elif type(value) is int and name in _TEXTS:
            known[name] = str(value)
        elif value is not None:
            known[name] = value
    return known


_AMOUNTS = {"was_price", "was_volume", "was_turnover"}
_TEXTS = {"code", *LevelFields.__struct_fields__, *BarFields.__struct_fields__, *_AMOUNTS}


def pushed(data: Any) -> Pushed:
    """The event that fields make. Raises one of UNREADABLE."""
    seq = data.seq
    if type(seq) is not int:
        seq = whole(seq)
    kind = type(data)
    sent = data.send_time
    times = Times(data.receive_time, data.publish_time, sent) if sent else None
    if kind is KlineFields:
        bar = kline(data.code, data.kline_type, data, incomplete=bool(data.incomplete))
        if data.removed:
            bar = msgspec.structs.replace(bar, removed=True)
        return Pushed(KlineUpdate(bar, data.state), seq, None, whole(data.trade_seq), times)
    time = data.tick_time
    if type(time) is not int:
        time = millis(time)
    if kind is CorrectedFields:
        return Pushed(_correction(data, time, seq), seq, times=times)
    if kind is BookFields:
        return Pushed(Book(data.code, time, _side(data.bids), _side(data.asks)), seq, times=times)
    price, volume, turnover, direction = data.price, data.volume, data.turnover, data.trade_direction
    return Pushed(
        Trade(
            data.code,
            time,
            known(price) or learn(price),
            number(volume),
            None if turnover is None else signed(turnover, amount),
            direction if 0 <= direction <= Direction.SELL else Direction.NEUTRAL,
            seq,
        ),
        seq,
        _several(data) if data.open_price else None,
        times=times,
    )


def _several(data: TradeFields) -> Several | None:
    """What a trade says of those that it stands for, if it says all of it."""
    if not (data.trades and data.high_price and data.low_price and data.first_seq):
        return None
    prices = signed(data.open_price), signed(data.high_price), signed(data.low_price)
    return Several(whole(data.trades), *prices, whole(data.first_seq))


def _correction(data: CorrectedFields, time: int, seq: int) -> Correction:
    was = Trade(
        data.code,
        data.trade_time if type(data.trade_time) is int else millis(data.trade_time),
        signed(data.was_price),
        number(data.was_volume),
        signed(data.was_turnover),
        data.was_direction if 0 <= data.was_direction <= Direction.SELL else Direction.NEUTRAL,
        whole(data.trade_seq),
    )
    now = msgspec.structs.replace(
        was,
        price=signed(data.price),
        volume=number(data.volume),
        turnover=signed(data.turnover),
        direction=data.trade_direction if 0 <= data.trade_direction <= Direction.SELL else Direction.NEUTRAL,
    )
    cancelled = data.action == "cancel"
    return Correction(data.code, time, was, None if cancelled else now, was.source_seq, seq)


def kline(code: str, kline_type: KlineType, bar: BarFields, *, incomplete: bool = False) -> Kline:
    """The bar that these fields make. Raises one of UNREADABLE."""
    return Kline(
        code,
        kline_type,
        seconds(bar.timestamp),
        signed(bar.open_price),
        signed(bar.high_price),
        signed(bar.low_price),
        signed(bar.close_price),
        amount(bar.volume),
        signed(bar.turnover, amount),
        incomplete=incomplete,
    )


def _side(levels: list[LevelFields] | None) -> tuple[Level, ...]:
    """A side of a book."""
    if not levels:
        return ()
    return side(tuple([Level(known(one.price) or learn(one.price), number(one.volume)) for one in levels]))
