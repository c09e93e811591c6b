"""What no tick says, read over HTTP beside the feed: the day so far, the day before, bars for a sparkline."""

from __future__ import annotations

import asyncio
import time

from ...client import Api, ClientError, RequestRefused, family_of
from ...model import Family
from .board import Board
from .row import DAY, PAST, PAST_BARS
from .table import MOST_BARS

PERIOD = 60.0
"""Seconds between two looks at the day's bars."""
PAST_PERIOD = 3600.0
"""Seconds between two looks at the day before."""


async def load(api: Api, board: Board, interval: str = "") -> None:
    """Keeps the rows complete, for ever; `interval` is that of the sparkline, "" for none.

    What a server refuses stays unknown; why is the board's notice.
    """
    again = time.monotonic()
    await _latest(api, board, "")
    while True:
        if time.monotonic() >= again:
            again = time.monotonic() + PAST_PERIOD
            for code in board.rows:
                await _past(api, board, code, interval)
        await asyncio.sleep(PERIOD)
        await _latest(api, board, interval)


async def _latest(api: Api, board: Board, interval: str) -> None:
    """The bars that are forming, and those before them."""
    wanted = dict.fromkeys(filter(None, (DAY, interval)))
    for family in Family:  # each by itself, for a plan may make the second wait
        codes = [code for code in board.rows if family_of(code) is family]
        try:
            bars = await api.latest_klines(codes, wanted)
        except ClientError as error:
            _say(board, error)
            continue
        for bar in bars:
            if (row := board.rows.get(bar.code)) is None:
                continue
            if bar.interval == DAY:
                row.take_day(bar)
            if bar.interval == interval:
                row.take_bar(bar)


async def _past(api: Api, board: Board, code: str, interval: str) -> None:
    row = board.rows[code]
    try:
        row.take_past(await api.klines(code, PAST, PAST_BARS))
        if interval:
            for bar in await api.klines(code, interval, MOST_BARS):
                row.take_bar(bar)
    except RequestRefused as refused:
        row.take_note(refused.msg)
    except ClientError as error:
        _say(board, error)


def _say(board: Board, error: ClientError) -> None:
    board.notice = f"day and trend are not complete: {error}"
