"""Three servers in a row, each a process, and a client of the last: nothing is missing, whichever wire is
cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx

from tickwire import Event, Feed, Gap, Trade, connect

from .serving import Program, program, until
from .wire_cutter import Wire, wire_to

CODES = ("GOLD", "BTCUSDT", "EURUSD")


class Reading:
    """What a client is given, as long as it reads."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.seen: list[Event] = []

    async def run(self) -> None:
        while batch := await self.feed.batch():
            self.seen += batch

    def trades(self, code: str) -> list[tuple[object, ...]]:
        """Those of a code, without the number, which each server gives them."""
        return [
            (one.time_ms, one.price, one.volume, one.turnover, one.direction)
            for one in self.seen
            if isinstance(one, Trade) and one.code == code
        ]


@contextlib.asynccontextmanager
async def reading(url: str) -> AsyncIterator[Reading]:
    async with connect(url, token="t", plan="unlimited", buffer=1_000_000) as feed:
        await feed.subscribe(trades=CODES)
        found = Reading(feed)
        task = asyncio.create_task(found.run())
        try:
            yield found
            assert not task.done(), task.exception()
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def relay(folder: Path, upstream: Wire) -> AsyncIterator[Program]:
    flags = ["--source", "alltick", "--upstream-url", upstream.url, "--upstream-plan", "unlimited"]
    async with program(folder, *flags, "--codes", ",".join(CODES), TICKWIRE_UPSTREAM_TOKEN="t") as started:
        yield started


async def standing(server: Program) -> dict[str, int]:
    async with httpx.AsyncClient() as client:
        (source,) = (await client.get(f"{server.url}/readyz")).json()["sources"]
    return dict(source)


async def asked_for_bars(server: Program) -> bool:
    """Whether a server was asked for bars."""
    async with httpx.AsyncClient() as client:
        found = (await client.get(f"{server.url}/metrics")).text
    return any(
        "kline" in line for line in found.splitlines() if line.startswith("tickwire_http_requests_total")
    )


async def test_a_chain_stays_whole_through_cuts_of_either_wire(tmp_path: Path) -> None:
    dice = Random(5)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        for name in ("first", "second", "third"):
            (tmp_path / name).mkdir()
        flags = ["--codes", ",".join(CODES), "--rate", "50", "--seed", "7"]
        first = await enter(program(tmp_path / "first", *flags))
        upper = await enter(wire_to(first.url))
        second = await enter(relay(tmp_path / "second", upper))
        lower = await enter(wire_to(second.url))
        third = await enter(relay(tmp_path / "third", lower))
        direct = await enter(reading(first.url))
        last = await enter(reading(third.url))
        await until(lambda: all(len(last.trades(code)) > 20 for code in CODES))
        for _ in range(8):
            wires = dice.choice([(upper,), (lower,), (upper, lower)])
            for wire in wires:
                wire.cut()
            before = [len(direct.trades(code)) for code in CODES]
            await until(
                lambda before=before: all(  # type: ignore[misc]
                    len(direct.trades(code)) > had + 40 for code, had in zip(CODES, before, strict=True)
                )
            )
            for wire in wires:
                wire.join()
                if dice.random() < 0.5:
                    await asyncio.sleep(dice.random() / 2)
        ends = {code: direct.trades(code)[-1] for code in CODES}
        await until(lambda: all(ends[code] in last.trades(code) for code in CODES))
        for code in CODES:
            ours, theirs = last.trades(code), direct.trades(code)
            begin, end = theirs.index(ours[1]), theirs.index(ends[code])
            assert ours[1 : ours.index(ends[code]) + 1] == theirs[begin : end + 1]
            assert len(ours) > 8 * 40
        assert not [one for one in last.seen if isinstance(one, Gap)]
        for server in (second, third):
            found = await standing(server)
            assert found["resumed"] >= len(CODES)
            assert (found["gaps"], found["late"], found["dropped"]) == (0, 0, 0)
        assert not await asked_for_bars(first)
        assert not await asked_for_bars(second)
