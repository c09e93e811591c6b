"""`tickwire quote`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from .output import json_line, note, plain, put, table, utc
from .upstream import AsJson, CaFile, Codes, Config, Plan, Token, Url, ask, upstream

if TYPE_CHECKING:
    from ..client import Api
    from .watching.row import Row

HEADER = ("CODE", "LAST", "VOLUME", "BID", "BID VOL", "ASK", "ASK VOL", "TIME (UTC)")
PATIENCE = 2.0
"""Seconds after which it is said that it goes on."""
NUMBERS = {*HEADER[1:7]}
NAMES = ("last", "last_volume", "bid", "bid_volume", "ask", "ask_volume")


def quote(
    codes: Codes,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Print the last trade of codes, and their best bid and ask.

    Exit status 1 if nothing is known of one of them.

    Example: tickwire quote BTCUSDT GOLD AAPL.US
    """
    from ..client.shown import told_nearest

    server = upstream(url, token, plan, config, ca_file)
    quotes, near = ask(server, lambda api: _quotes(api, [*dict.fromkeys(codes)]))
    if as_json:
        put("".join(json_line(_record(one)) for one in quotes))
    else:
        put(table(HEADER, map(_row, quotes), NUMBERS))
    if unknown := [one.code for one in quotes if one.time is None]:
        meant = f"; {told_nearest(near)}" if near else ""
        note(f"nothing is known of {' '.join(unknown)}: no trade yet, or no such code{meant}.")
        raise typer.Exit(1)


async def _quotes(api: Api, codes: list[str]) -> tuple[list[Row], dict[str, str]]:
    """What is known of these, and which codes may have been meant by those of which nothing is. Raises
    ClientError."""
    from .watching.row import Row

    loop = asyncio.get_running_loop()
    telling = loop.call_later(PATIENCE, lambda: note(f"still asking: {api.waits_for}."))
    try:
        trades, books = await asyncio.gather(api.latest_trades(codes), api.books(codes))
    finally:
        telling.cancel()
    last, shown = {one.code: one for one in trades}, {one.code: one for one in books}
    quotes = [Row(code) for code in codes]
    for one in quotes:
        one.last, one.book = last.get(one.code), shown.get(one.code)
    unknown = [one.code for one in quotes if one.time is None]
    return quotes, await api.nearest(unknown) if unknown else {}


def _record(quote: Row) -> dict[str, str | None]:
    numbers = dict(zip(NAMES, _numbers(quote), strict=True))
    return {"event": "quote", "code": quote.code, "time": utc(quote.time), **numbers}


def _row(quote: Row) -> list[str | None]:
    time = utc(quote.time)
    return [quote.code, *_numbers(quote), time and time.replace("T", " ").removesuffix("Z")]


def _numbers(quote: Row) -> list[str | None]:
    """Price and volume of the trade, of the bid, of the ask."""
    sides = (quote.book.best_bid, quote.book.best_ask) if quote.book else (None, None)
    return [
        plain(number)
        for one in (quote.last, *sides)
        for number in ((one.price, one.volume) if one else (None, None))
    ]
