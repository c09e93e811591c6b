"""`tickwire tail`."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import SettingsError
from .upstream import AsJson, CaFile, Codes, Config, Plan, Token, Url, explained, upstream, valid


def tail(
    codes: Codes,
    trades: Annotated[
        bool, typer.Option("--trades", help="Trades: the default where no other is asked for.")
    ] = False,
    books: Annotated[bool, typer.Option("--books", help="Order books.")] = False,
    depth: Annotated[
        int, typer.Option("--depth", min=0, metavar="N", help="Levels of the books; 0: all.")
    ] = 0,
    klines: Annotated[
        list[str] | None,
        typer.Option("--klines", metavar="TYPE", help="K-lines of that type as they form: 1m, 1h, 1d …"),
    ] = None,
    states: Annotated[
        bool, typer.Option("--states", help="What instruments do: open, halted, closed and so on.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Messages as the server sent them.")] = False,
    as_json: AsJson = False,
    number: Annotated[
        int | None, typer.Option("--number", "-n", min=1, metavar="N", help="Stop after N events.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, metavar="S", help="Stop after S seconds.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            dir_okay=False,
            help="Go on where the last run with that file ended.",
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    plan: Plan = None,
    config: Config = None,
    ca_file: CaFile = None,
) -> None:
    """Print trades, order books, K-lines or what instruments do as it happens.

    Each event is written at once, until Ctrl-C. A connection that is lost is made again; then a gap is told,
    on standard error, or with --json as an object among the others. A Tickwire gives what was missed
    meanwhile, so that a gap is what it has no more; it also pushes K-lines and states, and takes codes with
    `*` in them, but of states: '*.HK' is all of Hong Kong's that trade. AllTick does nothing of that.

    With --resume a run begins behind the last event whose line standard output took from an earlier one. The
    file is written after the event: a kill in between prints it again, and nothing is left out. What a reader
    such as head throws away of what a pipe held counts as printed: stop with -n instead.

    Example: tickwire tail BTCUSDT GOLD --json -n 100 | jq -r .price

    Example: tickwire tail '*.HK' --json --resume hk.positions >> hk.jsonl
    """
    if raw and resume:
        raise SettingsError("--raw and --resume exclude each other: positions are those of events.")
    if raw and as_json:
        raise SettingsError("--raw and --json exclude each other: --raw prints the server's own JSON.")
    if books and (odd := [code for code in codes if code.isdecimal()]):
        raise SettingsError(f"{odd[0]} is no code. --depth {odd[0]} says how many levels of the books.")
    from ..client import kline_type_of
    from .tailing import follow

    kinds = [valid("--klines", kline_type_of, one) for one in klines or ()]
    server = upstream(url, token, plan, config, ca_file)
    wanted = dict.fromkeys(codes)
    streams: dict[str, Any] = {
        "trades": wanted if trades or not (books or kinds or states) else (),
        "books": dict.fromkeys(wanted, depth) if books else (),
        "klines": [(code, kind) for code in wanted for kind in kinds],
        "states": wanted if states else (),
    }
    with explained(server):
        asyncio.run(
            _interruptible(follow(server, streams, number, seconds, raw=raw, as_json=as_json, resume=resume))
        )


async def _interruptible(call: Coroutine[Any, Any, None]) -> None:
    """Ends a call at Ctrl-C between two turns of the loop. asyncio cancels it in the middle of one, where a
    thread's answer may be under way into a future, which then complains. Raises KeyboardInterrupt."""
    interrupted, task = False, asyncio.create_task(call)

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        task.cancel()

    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
    try:
        await task
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
