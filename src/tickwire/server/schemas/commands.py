"""What is said over the two streams: every request of the protocol, and every push."""

from __future__ import annotations

from typing import Any, NamedTuple

from ... import wire
from ...model import Kind
from ...wire import Command
from ...wire.messages import CancelData, DepthSymbolList, Nothing
from . import examples


class Ask(NamedTuple):
    """A request of the protocol: its message is called `name`, its answer `nameAnswer`."""

    command: Command
    name: str
    data: type
    summary: str
    example: dict[str, Any]
    refused: tuple[wire.Ret, ...] = ()


_REFUSED = (
    wire.CODE_INVALID,
    wire.LEVEL_TOO_LOW,
    wire.CODE_UNAUTHORIZED,
    wire.TOO_FAST,
    wire.TOO_FAST_CLOSED,
)
_CODES = [{"code": "BTCUSDT"}, {"code": "GOLD"}]
ASKS = (
    Ask(
        Command.HEARTBEAT,
        "heartbeat",
        Nothing,
        "Keeps the connection: without a heartbeat, a valid request or a ping for 30 s it is closed.",
        {},
    ),
    Ask(
        Command.DEPTH,
        "subscribeBooks",
        DepthSymbolList,
        "Replaces the list of order books; the last known book of each new code comes at once.",
        {"symbol_list": [{"code": "BTCUSDT", "depth_level": 5}]},
        _REFUSED,
    ),
    Ask(
        Command.TRADE,
        "subscribeTrades",
        wire.SymbolList,
        "Replaces the list of trades; the last known trade of each new code comes at once.",
        {"symbol_list": _CODES},
        _REFUSED,
    ),
    Ask(
        Command.CANCEL,
        "cancel",
        CancelData,
        "Ends lists: `cancel_type` 0 all of them, 1 order books, 2 trades, 3 nothing.",
        {"cancel_type": 0},
    ),
    Ask(
        Command.KLINE,
        "subscribeKlines",
        wire.KlineSymbolList,
        "Replaces the list of K-lines that are pushed (an extension); the bar that is forming comes at once.",
        {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]},
        _REFUSED,
    ),
    Ask(Command.KLINE_CANCEL, "cancelKlines", Nothing, "Ends the list of K-lines (an extension).", {}),
    Ask(
        Command.STATUS,
        "watchStatus",
        Nothing,
        "Subscribes to how the server's sources are (an extension): all of them now, and each that changes.",
        {},
    ),
    Ask(Command.STATUS_CANCEL, "forgetStatus", Nothing, "Ends that (an extension).", {}),
)
PUSHES: tuple[tuple[str, int, str, str, dict[str, Any]], ...] = (
    ("trade", wire.PUSH_COMMAND[Kind.TRADE], "TradeData", "A trade.", examples.TRADE),
    ("book", wire.PUSH_COMMAND[Kind.DEPTH], "BookData", "An order book, whole.", examples.BOOK),
    ("kline", wire.PUSH_COMMAND[Kind.KLINE], "KlineData", "A bar (an extension).", examples.KLINE),
    ("status", wire.STATUS_PUSH, "StatusData", "How a source is (an extension).", examples.STATUS),
)
