"""Events as commands print them: as records for pipes, and as lines for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..client import Book, Gap, Kline, Trade
from ..client.shown import some
from ..model import Direction, Kind, Level
from ..wire import MarketState, Spared
from .output import Style, fields, plain, styled, utc, visible

KINDS = {Kind.TRADE: "trade", Kind.DEPTH: "book", Kind.KLINE: "kline", Kind.CORRECTION: "correction"}
"""What records and messages call the streams of an instrument."""
STYLES = {Direction.BUY: Style.GREEN, Direction.SELL: Style.RED, Direction.NEUTRAL: Style.PLAIN}


def record(event: Trade | Book | Kline | MarketState | Gap | Spared) -> dict[str, Any]:
    """An event as a record for JSON: money as texts with the server's decimals, times in UTC;
    of bars of a day and more their trading date."""
    found = fields(event)
    found.pop("times", None)  # which no command asks for
    match event:
        case Trade():
            found["direction"] = event.direction.name.lower()
            if event.trades == 1:  # as nearly all are: what the rest says is in it already
                for name in ("trades", "open", "high", "low", "first_seq"):
                    del found[name]
        case Book():
            found |= {"bids": _levels(event.bids), "asks": _levels(event.asks)}
        case Gap():
            found["kind"] = None if event.kind is None else KINDS[event.kind]
            found["interval"] = event.interval or None
        case Spared():
            found["kind"] = KINDS[event.kind]
        case Kline():
            if event.trading_date is not None:
                found["trading_date"] = event.trading_date
            if not event.trade_seq:  # as of all bars over HTTP
                del found["trade_seq"]
    return {"event": type(event).__name__.lower(), **found}


def spared_line(spared: Spared) -> str:
    """What the server did not send, for people."""
    what = f"{spared.dropped} {KINDS[spared.kind]}s of {some(spared.codes)}"
    return f"too slow: the server thinned or left out {what} since {utc(spared.since_ms)}"


def opened(bar: Kline) -> str:
    """When a bar opens, as people say it: the trading date of days, weeks and months, else the time."""
    return utc(bar.time_ms) or "" if bar.trading_date is None else bar.trading_date.isoformat()


def _levels(levels: Iterable[Level]) -> list[dict[str, str | None]]:
    return [{"price": plain(level.price), "volume": plain(level.volume)} for level in levels]


class Lines:
    """Events as lines for people, in columns that become as wide as what has come."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._widths: dict[tuple[str, int], int] = {}

    def line(self, event: Trade | Book | Kline | MarketState) -> str:
        """Time, code, kind; then price, volume and direction, or the sides, or the bar, or the state."""
        match event:
            case Trade():
                style = STYLES[event.direction]
                direction = styled(event.direction.name.lower(), style, wanted=self._colours)
                rest = [*self._numbers("trade", event.price, event.volume), direction]
            case Book():
                rest = []
                for name, style, side in ("bid", Style.GREEN, event.bids), ("ask", Style.RED, event.asks):
                    levels = " ".join(f"{one.price:f}x{one.volume:f}" for one in side) or "none"
                    rest.append(styled(f"{name} {levels}", style, wanted=self._colours))
            case Kline():
                prices = (event.open, event.high, event.low, event.close, event.volume)
                rest = [event.interval, *self._numbers("kline", *prices), event.state or ""]
            case MarketState():
                rest = [visible(event.state)]
        kind = "state" if isinstance(event, MarketState) else type(event).__name__.lower()
        code = self._fit(("", 0), event.code, right=False)
        when = opened(event) if isinstance(event, Kline) else utc(event.time_ms) or ""
        return "  ".join([when, code, f"{kind:<5}", *rest]).rstrip() + "\n"

    def _numbers(self, kind: str, *numbers: Any) -> list[str]:
        return [
            self._fit((kind, place), plain(number) or "", right=True) for place, number in enumerate(numbers)
        ]

    def _fit(self, column: tuple[str, int], text: str, *, right: bool) -> str:
        width = self._widths[column] = max(self._widths.get(column, 0), len(text))
        return text.rjust(width) if right else text.ljust(width)
