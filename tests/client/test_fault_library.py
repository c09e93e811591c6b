"""A feed under each scenario of the fault library: what goes wrong is healed, or is told.

The scenarios run thirty times as fast as their files say, all at once, each on a server of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tickwire import Feed, Unauthorized, connect
from tickwire.client import Backoff, Options, Plan
from tickwire.model import Kind
from tickwire.sandbox import library, library_text, scenario_of
from tickwire.wire import Terms

from ..serving import Served, serving, until
from .ledger import PUSHES, Ledger
from .test_nothing_lost import Tap, frames

HASTE = 30
RATE = 12
"""Steps of each code per second."""
SECONDS = 2.2
"""As long as the longest scenario takes in haste."""
TRADES = ("BTCUSDT", "GOLD", "EURUSD", "AAPL.US", "700.HK", "600519.SH", "SPY.US", "IBM.US")
TOGGLED = ("ETHUSDT", "USOIL", "Silver")
"""Subscribed to and left again and again: each time begins anew."""
BOOKS = ("BTCUSDT", "AAPL.US", "600519.SH", "300750.SZ", "600036.SH")
CODES = sorted({*TRADES, *TOGGLED, *BOOKS})
"""No others: all servers share one core."""
OPTIONS = Options(Terms(mute=60.0), Backoff(first=0.02, most=0.1), close_timeout=0.2)
"""No scenario lets a server fall silent: one that is late, beside all the others, is not dead."""
RESETS = {"flaky-network"}
"""Where connections are reset, which loses what is under way."""
BREAKS = {"flaky-network", "maintenance"}


def hurried(name: str) -> dict[str, Any]:
    """The scenario with its times divided; but tokens stay expired: a feed may come late."""
    document = tomllib.loads(library_text(name))
    for step in document["step"]:
        for key in ("at", "for"):
            if key in step and (key, step["do"]) != ("for", "expire-token"):
                step[key] = step[key] / HASTE
        for key in ("after", "by"):
            if key in step:
                step[key] = [one / HASTE for one in step[key]]
    return document


def port_of(served: Served) -> int:
    return int(served.url.rpartition(":")[2])


def written(tap: Tap, port: int) -> set[tuple[Kind, str, int]]:
    """What that server has pushed."""
    found = set()
    for websocket, chunks in tap.written.items():
        if websocket.transport.get_extra_info("sockname")[1] != port:
            continue
        for frame in frames(b"".join(chunks).partition(b"\r\n\r\n")[2]):
            message = json.loads(frame)
            if (kind := PUSHES.get(message["cmd_id"])) is not None:
                found.add((kind, message["data"]["code"], message["data"]["seq"]))
    return found


@contextlib.asynccontextmanager
async def fed(url: str, ledger: Ledger, *, extended: bool) -> AsyncIterator[tuple[Feed, asyncio.Task[None]]]:
    """A feed that is read into the ledger."""
    options = OPTIONS._replace(extended=extended)
    feed = connect(url, token="t", plan=Plan(subscribe_spacing=0.0), options=options)
    async with feed:
        await feed.subscribe(trades=TRADES, books=BOOKS)
        drinking = asyncio.create_task(ledger.drink(feed))
        try:
            yield feed, drinking
        finally:
            drinking.cancel()
            await asyncio.wait([drinking])


async def act(folder: Path, name: str, tap: Tap, all_there: asyncio.Barrier, *, extended: bool) -> Ledger:
    """The scenario on a server of its own; raises what is wrong with what a feed made of it."""
    seen: Counter[tuple[Kind, str, int]] = Counter()
    ledger = Ledger(TOGGLED, lambda *one: seen.update((one,)), resumes=extended)
    async with (
        serving(folder / name, rate=RATE, seed=3, codes=CODES) as served,
        fed(served.url, ledger, extended=extended) as (feed, drinking),
    ):
        await until(lambda: ledger.events > 20)
        await all_there.wait()  # to make a server takes as long as some steps last
        scenario, scenarios = scenario_of(hurried(name), name), served.engine.market.scenarios
        scenarios.begin(scenario)
        ends = time.monotonic() + SECONDS
        dice = Random(1)

        def unbroken() -> bool:
            return name in BREAKS and not ledger.downs

        while (time.monotonic() < ends or unbroken()) and not drinking.done():
            if unbroken() and not scenarios.running:
                scenarios.begin(scenario)  # a busy machine was held up for as long as all of it lasts
            wanted = dice.sample(TOGGLED, 2)
            await feed.subscribe(trades=wanted)
            await asyncio.sleep(0.1)
            await feed.unsubscribe(trades=wanted)
        if name == "expired-token":
            with pytest.raises(Unauthorized, match="token invalid"):
                await asyncio.wait_for(drinking, 120)
            return ledger
        for run in scenarios.running:
            scenarios.stop(run.number)
        truth = {one for one in written(tap, port_of(served)) if one[1] in {*TRADES, *BOOKS}}
        if name in RESETS:
            truth = {one for one in truth if extended and one[0] is Kind.TRADE}
        await until(lambda: truth <= seen.keys())
        if name in BREAKS and not extended:
            await until(lambda: ledger.gaps > 0)
        assert not drinking.done()
        assert seen.keys() <= written(tap, port_of(served))
    assert [one for one, times in seen.items() if times > 1] == []
    return ledger


@pytest.mark.parametrize("extended", [False, True])
async def test_a_feed_lives_through_the_fault_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extended: bool
) -> None:
    tap = Tap(monkeypatch)
    names = [*library()]
    all_there = asyncio.Barrier(len(names))
    async with asyncio.timeout(180):
        ledgers = await asyncio.gather(
            *(act(tmp_path, name, tap, all_there, extended=extended) for name in names)
        )
    for name, ledger in zip(names, ledgers, strict=True):
        assert ledger.events > 20, name
        assert ledger.unannounced == [], name
        assert ledger.unreadable == 0, name
        assert ledger.missed == 0, name
        assert ledger.gaps == 0 or not extended, f"{name}: {ledger.told}"
        if name in BREAKS:
            assert ledger.downs.total() > 0, name
