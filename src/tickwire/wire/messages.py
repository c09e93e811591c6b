"""Every message of sections 2 and 3 as a type: what the documents allow, field by field.

Numbers are integers, prices, volumes and turnovers are strings with the instrument's decimals, times
are milliseconds since the epoch. Over WebSocket `seq` and `tick_time` are integers, over HTTP strings.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import Kind, KlineState, KlineType

MAX_MESSAGE = 2**20
"""Bytes of the longest message; a longer one closes with 1009 (section 2)."""

MOST_U32 = 2**32 - 1
U32 = Annotated[int, Meta(ge=0, le=MOST_U32)]
U63 = Annotated[int, Meta(ge=0, le=2**63 - 1)]
KlineNumber = Annotated[int, Meta(ge=1, le=len(KlineType))]
TraceText = Annotated[str, Meta(max_length=64)]

# What answers and pushes hold. All of it goes into the schemas, and nothing of it is checked.
Seq = Annotated[int | str, Meta(description="Grows by one per code and kind; a text over HTTP.")]
Time = Annotated[
    int | str, Meta(description="The source's time, in milliseconds since the epoch; a text over HTTP.")
]
Decimals = Annotated[
    str,
    Meta(
        description="An exact decimal, with the instrument's decimals.",
        extra_json_schema={"pattern": r"^-?[0-9]+(\.[0-9]+)?$"},
    ),
]
OpenTime = Annotated[
    str,
    Meta(description="Its open time, in seconds since the epoch.", extra_json_schema={"pattern": "^[0-9]+$"}),
]
Direction = Annotated[
    int,
    Meta(
        description="0 unknown, 1 the taker bought, 2 the taker sold.", extra_json_schema={"enum": [0, 1, 2]}
    ),
]
State = Annotated[
    str,
    Meta(
        description="What the bar has come to; `revised` by a trade that came late or was corrected.",
        extra_json_schema={"enum": [*KlineState]},
    ),
]
Flag = Annotated[int, Meta(extra_json_schema={"enum": [0, 1]})]


class Command(IntEnum):
    """`cmd_id` of the requests; the response's is one more."""

    HEARTBEAT = 22000
    DEPTH = 22002
    TRADE = 22004
    CANCEL = 22006
    HELLO = 28000  # an extension, like all from here on (section 6)
    KLINE = 28004
    KLINE_CANCEL = 28006
    STATUS = 28008
    STATUS_CANCEL = 28010
    CHANGE = 28012
    LIST = 28014
    RESUME = 28016
    REPLAY = 28018
    REPLAY_CONTROL = 28020
    OPTIONS = 28022
    STATES = 28024
    STATES_CANCEL = 28026
    CORRECTION = 28028
    CORRECTION_CANCEL = 28030


PUSH_COMMAND = {Kind.DEPTH: 22999, Kind.TRADE: 22998, Kind.KLINE: 28998, Kind.CORRECTION: 28992}
"""`cmd_id` of the pushes of events."""
EXTENSIONS_FROM = 28000
"""From here on `cmd_id` is no number of the vendor's."""
STATUS_PUSH = 28997
"""`cmd_id` of the push that says how a source is."""
REPLAY_PUSH = 28996
"""`cmd_id` of the push that says where a replay stands."""
SPARED_PUSH = 28995
"""`cmd_id` of the push that says what a client was spared that could not keep up."""
STATE_PUSH = 28994
"""`cmd_id` of the push that says what an instrument does."""
GAP_PUSH = 28993
"""`cmd_id` of the push that says that a stream goes on after a hole."""
PUSH_COMMANDS = (*PUSH_COMMAND.values(), STATUS_PUSH, REPLAY_PUSH, SPARED_PUSH, STATE_PUSH, GAP_PUSH)
"""`cmd_id` of all pushes."""

CANCELS: tuple[tuple[Kind, ...], ...] = (tuple(Kind), (Kind.DEPTH,), (Kind.TRADE,), ())
"""What each `cancel_type` ends; 3 is for exchange rates, which nobody can subscribe to."""


# Requests: the `data` of each, as documented.
class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The data of a heartbeat, of 28000, 28006, 28008, 28010, 28014, 28026 and 28030."""


class Symbol(msgspec.Struct, forbid_unknown_fields=True):
    """An instrument that is asked for."""

    code: str


class DepthSymbol(msgspec.Struct, forbid_unknown_fields=True):
    """An instrument whose book is asked for; `depth_level` 0 means all levels."""

    code: str
    depth_level: U32 | None = None


class SymbolList(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 22004, 28024, 28028, /trade-tick, /depth-tick and /static_info."""

    symbol_list: Annotated[list[Symbol], Meta(min_length=1)]


class DepthSymbolList(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 22002."""

    symbol_list: Annotated[list[DepthSymbol], Meta(min_length=1)]


class KlineSymbol(msgspec.Struct, forbid_unknown_fields=True):
    """A code and a type of bars to be pushed."""

    code: str
    kline_type: KlineNumber


class KlineSymbolList(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 28004."""

    symbol_list: Annotated[list[KlineSymbol], Meta(min_length=1)]


class KlineQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The data of /kline, and an entry of /batch-kline.

    `kline_timestamp_end` is in seconds or milliseconds, 0 for the latest bars; `adjust_type` is read and
    answered unadjusted.
    """

    code: str
    kline_type: KlineNumber
    kline_timestamp_end: U63 = 0
    query_kline_num: Annotated[int, Meta(ge=1)] = 1
    adjust_type: int = 0


class BatchKlineQuery(msgspec.Struct, forbid_unknown_fields=True):
    """The data of /batch-kline."""

    data_list: Annotated[list[KlineQuery], Meta(min_length=1)]


class CancelData(msgspec.Struct, forbid_unknown_fields=True):
    """The data of 22006: 0 all, 1 depth, 2 trades, 3 exchange rates."""

    cancel_type: Annotated[int, Meta(ge=0, le=len(CANCELS) - 1)]


# Answers and pushes.
class TradeData(msgspec.Struct):
    """A trade: the data of 22998 and an entry of /trade-tick."""

    code: str
    seq: Seq
    tick_time: Time
    price: Decimals
    volume: Decimals
    turnover: Decimals
    trade_direction: Direction


class SeveralTradesData(TradeData):
    """Several trades as one, for a client that could not take each: the data of 22998 too (an extension).

    `seq`, `tick_time` and `price` are those of the last; `volume` and `turnover` exact sums, and
    `trade_direction` is 0 if theirs differ. `trades` is how many they are, `first_seq` the first one's, whose
    price is `open_price`.
    """

    trades: Annotated[int, Meta(ge=2)]
    open_price: Decimals
    high_price: Decimals
    low_price: Decimals
    first_seq: Seq


class TimesData(msgspec.Struct):
    """What the data of a push gains for a client with the flag `times` (an extension)."""

    send_time: Annotated[
        int, Meta(description="When it was sent, in microseconds since the epoch; with the flag `times`.")
    ]
    receive_time: (
        Annotated[int, Meta(description="When the server received it, where that is known; as `send_time`.")]
        | UnsetType
    ) = UNSET
    publish_time: (
        Annotated[int, Meta(description="When it went into its stream, if it came just now; as `send_time`.")]
        | UnsetType
    ) = UNSET


class LevelData(msgspec.Struct):
    """A level of a book."""

    price: Decimals
    volume: Decimals


class BookData(msgspec.Struct):
    """An order book, best levels first: the data of 22999 and an entry of /depth-tick."""

    code: str
    seq: Seq
    tick_time: Time
    bids: list[LevelData]
    asks: list[LevelData]


Replay = Annotated[int, Meta(description="The number of the replay that it is of.")]


class ReplayedTradeData(TradeData):
    """A trade of a replay of the client's own: the data of 22998 too (an extension)."""

    replay: Replay


class ReplayedBookData(BookData):
    """An order book of a replay of the client's own: the data of 22999 too (an extension)."""

    replay: Replay


class KlineBar(msgspec.Struct):
    """A bar; `timestamp` is its open time in seconds."""

    timestamp: OpenTime
    open_price: Decimals
    close_price: Decimals
    high_price: Decimals
    low_price: Decimals
    volume: Decimals
    turnover: Decimals


class KlineData(msgspec.Struct):
    """A bar that is pushed: the data of 28998.

    `state` is `forming`, `closed` or `revised`; `incomplete` is 1 if the source was down during a part of
    the bar. The fields from `timestamp` on are those of /kline, and so are their values once it has closed.
    `removed` is there, and 1, if all its trades were cancelled: the rest is what it was. `trade_seq` is there
    for who sent 28012 or 28016: the `seq` of the last trade that it may count, 0 if there was none.
    """

    code: str
    kline_type: int
    seq: Seq
    state: State
    incomplete: Flag
    timestamp: OpenTime
    open_price: Decimals
    close_price: Decimals
    high_price: Decimals
    low_price: Decimals
    volume: Decimals
    turnover: Decimals
    removed: Flag | UnsetType = UNSET
    trade_seq: Seq | UnsetType = UNSET


class CorrectionData(msgspec.Struct):
    """A trade was not as it had been told: the data of 28992.

    `tick_time` is when that was said. `trade_seq` is the `seq` of the trade's 22998, 0 where that is not
    known any more, `trade_time` its time. The fields that begin with `was` are what it counted as until then;
    the last four what it counts as: where `action` is `cancel`, with a volume and a turnover of zero.
    """

    code: str
    seq: Seq
    tick_time: Time
    action: Annotated[str, Meta(extra_json_schema={"enum": ["correct", "cancel"]})]
    trade_seq: Seq
    trade_time: Time
    was_price: Decimals
    was_volume: Decimals
    was_turnover: Decimals
    was_direction: Direction
    price: Decimals
    volume: Decimals
    turnover: Decimals
    trade_direction: Direction


class ReplayedCorrectionData(CorrectionData):
    """A correction of a replay of the client's own: the data of 28992 too (an extension)."""

    replay: Replay


class KlineList(msgspec.Struct):
    """The data that /kline answers: bars by time, the last one still forming."""

    code: str
    kline_type: int
    kline_list: list[KlineBar] | msgspec.Raw


class KlineGroup(msgspec.Struct):
    """One code and type of a /batch-kline answer."""

    code: str
    kline_type: int
    kline_data: list[KlineBar] | msgspec.Raw


class BatchKlineList(msgspec.Struct):
    """The data that /batch-kline answers."""

    kline_list: list[KlineGroup]


class StaticInfo(msgspec.Struct):
    """An entry of /static_info; what is not known is an empty string."""

    symbol: str
    name_cn: str
    name_en: str
    name_hk: str
    exchange: str
    board: str
    currency: str
    lot_size: str
    total_shares: str
    circulating_shares: str
    hk_shares: str
    eps: str
    eps_ttm: str
    bps: str
    dividend_yield: str


class TickList(msgspec.Struct):
    """The data that /trade-tick and /depth-tick answer."""

    tick_list: list[TradeData] | list[BookData]


class StaticInfoList(msgspec.Struct):
    """The data that /static_info answers."""

    static_info_list: list[StaticInfo]


Data = TypeVar("Data")


class Push(msgspec.Struct, Generic[Data]):
    """What the server sends unasked."""

    cmd_id: int
    data: Data


class Response(msgspec.Struct):
    """The answer to a request over WebSocket."""

    ret: int
    msg: str
    cmd_id: int
    seq_id: int
    trace: str
    data: Annotated[dict[str, Any], Meta(extra_json_schema={"maxProperties": 0})]


class HttpSuccess(msgspec.Struct, Generic[Data]):
    """A successful answer over HTTP."""

    ret: int
    msg: str
    trace: str
    data: Data


class HttpError(msgspec.Struct):
    """An error over HTTP: no `data`, `trace` empty if unknown."""

    msg: str
    trace: str
    ret: int


class HttpTooMany(msgspec.Struct):
    """429 over HTTP. The live service sends `error_msg` alone, and clients look for its text."""

    ret: int
    msg: str
    error_msg: str
    trace: str


to_json = msgspec.json.Encoder().encode
