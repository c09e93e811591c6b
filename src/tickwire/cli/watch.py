"""`tickwire watch`."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SettingsError
from .upstream import AsJson, CaFile, Codes, Config, Plan, Token, Url, address, explained, upstream, valid

if TYPE_CHECKING:
    from ..client import Account


def watch(
    codes: Codes,
    book: Annotated[
        bool, typer.Option("--book", help="Order books as ladders, of one or a few codes.")
    ] = False,
    klines: Annotated[
        str | None,
        typer.Option(
            "--klines", metavar="TYPE", help="The course of the last bars of that type: 1m, 1h, 1d …"
        ),
    ] = None,
    every: Annotated[
        float, typer.Option("--every", min=0.1, max=60, metavar="S", help="Seconds between two looks.")
    ] = 0.2,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Watch codes in a live table.

    CHANGE is against the day's open, 24H against 24 hours before the last trade; VOLUME is the day's, and AGE
    how long ago the last trade or change of the book was; of a Tickwire with what the instrument does, where
    it is not open: "halted 12s". Keys: q quits, space pauses, the arrows show the
    codes for which there is no room. What was lost with a connection is told in the last lines.

    With --json each code is a line of its own whenever it has changed, at most once in --every seconds.

    Example: tickwire watch BTCUSDT GOLD AAPL.US --klines 1m
    """
    from ..client.intervals import INTERVAL_OF, kline_type_of

    interval = INTERVAL_OF[valid("--klines", kline_type_of, klines)] if klines else ""
    server = upstream(url, token, plan, config, ca_file)
    wanted = list(dict.fromkeys(codes))
    with explained(server):
        asyncio.run(_watch(server, wanted, interval, every, book=book, as_json=as_json))


async def _watch(
    server: Account, codes: list[str], interval: str, every: float, *, book: bool, as_json: bool
) -> None:
    """Raises SettingsError where there is no terminal to watch on, ClientError."""
    from ..client import Feed
    from .watching.board import Board
    from .watching.frame import Frame
    from .watching.live import show, write
    from .watching.terminal import Screen

    board = Board(codes)
    screen = Screen(sys.stdout)
    if not (as_json or screen.able):
        raise SettingsError(
            "watch needs a terminal: for a pipe there is `tickwire tail`, which prints each event, or --json."
        )
    async with Feed(server) as feed:
        await feed.subscribe(
            trades=codes,
            books=dict.fromkeys(codes, 0 if book else 1),
            klines=[(code, interval) for code in codes if interval],
            states=codes,
        )
        if as_json:
            await write(feed, board, interval=interval, every=every)
        else:
            frame = Frame(board, address(server).partition("://")[2], interval=interval, book=book)
            await show(feed, board, frame, screen, interval=interval, every=every)
