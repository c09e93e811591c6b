"""Watching: the feed is read, and a few times a second what has changed is shown, or written as lines.

What no tick says is read over HTTP beside it: the day so far, the day before, bars for a sparkline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from ...client import Api, ClientError, Event, Feed, Gap, RequestRefused, Status, family_of
from ...model import Family
from ...wire import Refusal, Spared
from ..output import Outlet, had_enough, json_line, note
from ..records import record
from .board import Board, refusal_line
from .frame import Frame, Moment
from .row import DAY, PAST, PAST_BARS
from .table import MOST_BARS
from .terminal import Keys, Screen

MOVES = {"up": (-1, 0), "down": (1, 0), "page up": (0, -1), "page down": (0, 1)}
"""What keys move: by codes, by pages."""
READ_EVERY = 0.05
"""Seconds between two looks at the feed: events that wait together cost less."""

PERIOD = 60.0
"""Seconds between two looks at the day's bars."""
PAST_PERIOD = 3600.0
"""Seconds between two looks at the day before."""


async def follow(
    feed: Feed,
    board: Board,
    interval: str,
    every: float,
    tick: Callable[[], Awaitable[bool]],
    heard: Callable[[Sequence[Event]], object] = lambda _: None,
) -> None:
    """Reads the feed and the API into the board, and calls `tick` every so many seconds until it says False.

    `heard` is given all events. Raises ClientError where no try can heal the feed.
    """

    async def read() -> None:
        while events := await feed.batch():
            board.take(events, time.monotonic())
            heard(events)
            await asyncio.sleep(READ_EVERY)

    reading = asyncio.create_task(read())
    loading = asyncio.create_task(load(feed.api, board, interval))
    try:
        while await tick():
            done, _ = await asyncio.wait(
                [reading, loading], timeout=every, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                return task.result()  # which raises, for the feed is open
    finally:
        reading.cancel()
        loading.cancel()
        await asyncio.wait([reading, loading])


async def show(
    feed: Feed, board: Board, frame: Frame, screen: Screen, *, interval: str, every: float
) -> None:
    """Until somebody wants to quit. Raises ClientError."""
    paused = False
    outlet, ended = Outlet(), asyncio.Event()

    async def look() -> None:
        nonlocal paused
        moved = False
        for key in keys.pressed():
            if key == "quit":
                ended.set()
            elif key == "pause":
                paused = not paused
                moved = True
            elif key in MOVES:
                codes, pages = MOVES[key]
                frame.scroll(codes, pages=pages)
                moved = True
        size = screen.size
        if moved or not paused or size != screen.drawn:
            moment = Moment(time.time_ns() // 1_000_000, time.monotonic())
            if text := screen.frame(frame.lines(*size, moment, paused=paused), size):
                await outlet.write(text)

    async def tick() -> bool:
        try:
            await look()
        except OSError:  # the terminal is gone
            return False
        return not ended.is_set()

    keys = Keys()
    with _taken(screen, keys, ended.set):
        await follow(feed, board, interval, every, tick)


async def write(feed: Feed, board: Board, *, interval: str, every: float) -> None:
    """For ever: each code that has changed, as one line of JSON, and each gap. Raises ClientError."""
    outlet = Outlet()
    gaps: list[Gap | Spared] = []

    def heard(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, (Gap, Spared)):
                gaps.append(event)
            elif isinstance(event, Status) and event.reason:
                note(f"{event.family} {event.state}: {event.reason}")
            elif isinstance(event, Refusal):
                note(refusal_line(event))

    async def tick() -> bool:
        changed = [row for row in board.rows.values() if row.touched]
        lines = [json_line(record(gap)) for gap in gaps] + [json_line(row.record()) for row in changed]
        gaps.clear()
        for row in changed:
            row.touched = False
        try:
            if lines:
                await outlet.write("".join(lines))
        except BrokenPipeError:
            had_enough()
        return True

    await follow(feed, board, interval, every, tick, heard)


@contextlib.contextmanager
def _taken(screen: Screen, keys: Keys, stop: Callable[[], object]) -> Iterator[None]:
    """The terminal is ours, and then as it was, also where a signal ends the program; Ctrl-Z and fg work."""
    loop = asyncio.get_running_loop()

    def enter() -> None:
        keys.enter()
        screen.enter()

    def leave() -> None:
        screen.leave()
        keys.leave()

    def suspend() -> None:
        leave()
        os.kill(os.getpid(), signal.SIGSTOP)
        enter()  # when it goes on

    wanted = {"SIGTERM": stop, "SIGHUP": stop, "SIGTSTP": suspend}
    known = {number: what for name, what in wanted.items() if (number := getattr(signal, name, None))}
    try:
        enter()
        with contextlib.suppress(NotImplementedError):  # on Windows
            for number, what in known.items():
                loop.add_signal_handler(number, what)
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in known:
                loop.remove_signal_handler(number)
        leave()


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
        row.take_past(await api.klines(code, PAST, PAST_BARS, on_short=_nothing))
        if interval:
            for bar in await api.klines(code, interval, MOST_BARS, on_short=_nothing):
                row.take_bar(bar)
    except RequestRefused as refused:
        row.take_note(refused.msg)
    except ClientError as error:
        _say(board, error)


def _nothing(_: str) -> None:
    """A code that has no bars yet shows none."""


def _say(board: Board, error: ClientError) -> None:
    board.notice = f"day and trend are not complete: {error}"
