"""A server that is killed again and again while trades are published, corrected and cancelled: each line
counts once in the bars, and stands once in the recording."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest

from tickwire.model import Correction
from tickwire.store.recordings import Recordings

from .serving import PATIENCE, Program, program
from .test_kill import bars

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

LINES, KILLS, MINUTES = 900, 4, 6
PAIRS = {"BTCUSDT": 5, "ETHUSDT": 4}
"""Codes and the decimals of their volumes."""
NDJSON = {"content-type": "application/x-ndjson"}


def lines_of(dice: random.Random) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """Lines from `seq` 1 on, and what is left of the trades in the end."""
    start = (int(time.time()) // 60 - MINUTES - 1) * 60_000
    lines: list[dict[str, Any]] = []
    alive: dict[int, dict[str, Any]] = {}
    for seq in range(1, LINES + 1):
        at = start + seq * MINUTES * 60_000 // LINES
        line = {"code": "BTCUSDT", "seq": seq, "time": at}
        price = {"price": f"{dice.randrange(9000, 11000) / 100:.2f}", "volume": str(dice.randrange(1, 9))}
        kind = dice.random()
        if kind < 0.7 or not alive:
            alive[seq] = line | {"type": "trade"} | price
            lines.append(alive[seq])
            continue
        trade = dice.choice([*alive])
        if kind < 0.85:
            del alive[trade]
            lines.append(line | {"type": "cancel", "trade": trade})
        else:
            alive[trade] = alive[trade] | price
            lines.append(line | {"type": "correct", "trade": trade} | price)
    return lines, alive


def lines_of_pairs(dice: random.Random) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """Lines from `seq` 1 on, of minutes in any order, and the trades as they are in the end."""
    start = (int(time.time()) // 60 - 50) * 60_000
    lines: list[dict[str, Any]] = []
    alive: dict[int, dict[str, Any]] = {}
    for seq in range(1, LINES + 1):
        line = {"code": dice.choice([*PAIRS]), "seq": seq, "time": start + dice.randrange(40 * 60_000)}
        price = {"price": f"{dice.randrange(9000, 11000) / 100:.2f}", "volume": str(dice.randrange(1, 9))}
        if dice.random() < 0.5 or not alive:
            alive[seq] = line | {"type": "trade"} | price
            lines.append(alive[seq])
        else:
            trade = dice.choice([*alive])
            alive[trade] = alive[trade] | price
            lines.append(line | {"code": alive[trade]["code"], "type": "correct", "trade": trade} | price)
    return lines, alive


def expected_bars(alive: dict[int, dict[str, Any]], decimals: int = 5) -> list[dict[str, str]]:
    """The minutes of these trades."""
    found = []
    for minute, group in groupby(alive.values(), key=lambda one: one["time"] // 60_000):
        trades = [*group]
        prices = [Decimal(one["price"]) for one in trades]
        volumes = [Decimal(one["volume"]) for one in trades]
        money = sum(price * volume for price, volume in zip(prices, volumes, strict=True))
        found.append(
            {
                "timestamp": str(minute * 60),
                "open_price": f"{prices[0]:.2f}",
                "close_price": f"{prices[-1]:.2f}",
                "high_price": f"{max(prices):.2f}",
                "low_price": f"{min(prices):.2f}",
                "volume": f"{sum(volumes):.{decimals}f}",
                "turnover": f"{money:.2f}",
            }
        )
    return found


async def minutes_are(client: httpx.AsyncClient, url: str, code: str, expected: list[dict[str, str]]) -> None:
    """Waits: a minute may be made anew after what is of it is durable."""
    with suppress(TimeoutError):
        async with asyncio.timeout(120):
            while await bars(client, url, code, 1) != expected:
                pass
    assert await bars(client, url, code, 1) == expected


async def send(client: httpx.AsyncClient, running: Program, lines: list[dict[str, Any]]) -> None:
    url = f"{running.url}/v1/publish"
    standing = (await client.get(url)).json()["data"]
    left = lines[standing["seq"] :]
    body = "\n".join(map(json.dumps, left)).encode()
    answer = (await client.post(url, content=body, headers=NDJSON)).json()["data"]
    assert answer["bad"] == []


async def test_each_correction_counts_once_however_often_the_server_is_killed(tmp_path: Path) -> None:
    dice = random.Random(7)
    lines, alive = lines_of(dice)
    ticks = tmp_path / "ticks"
    options = ("--source", "publish", "--record", str(ticks), "--late-window", "3600")
    midway = 0
    for part in range(1, KILLS + 1):
        async with program(tmp_path, *options) as running, httpx.AsyncClient(timeout=PATIENCE) as client:
            await send(client, running, lines[: LINES * part // KILLS])
            await asyncio.sleep(dice.uniform(0, 0.8))  # the moment of the kill
            standing = (await client.get(f"{running.url}/v1/publish")).json()["data"]
            midway += standing["durable"] < standing["seq"]
            await running.end(signal.SIGKILL)
            assert "Traceback" not in running.log
    async with program(tmp_path, *options) as running, httpx.AsyncClient(timeout=PATIENCE) as client:
        await send(client, running, lines)
        async with asyncio.timeout(PATIENCE):
            while (await client.get(f"{running.url}/v1/publish")).json()["data"]["durable"] < LINES:
                pass
        expected = expected_bars(alive)
        await minutes_are(client, running.url, "BTCUSDT", expected)
        volumes = sum(Decimal(bar["volume"]) for bar in expected)
        for kline_type in range(2, 11):
            larger = await bars(client, running.url, "BTCUSDT", kline_type)
            assert sum(Decimal(bar["volume"]) for bar in larger) == volumes
            assert max(Decimal(bar["high_price"]) for bar in larger) == max(
                Decimal(bar["high_price"]) for bar in expected
            )
        await running.end()
    assert midway > 0, "some kill must come before all is durable"
    events = [one.event for one in Recordings(ticks).read()]
    assert [one.source_seq for one in events] == [*range(1, LINES + 1)]  # type: ignore[union-attr]
    assert sum(isinstance(one, Correction) for one in events) == sum(one["type"] != "trade" for one in lines)


async def test_a_kill_in_the_midst_of_corrections_counts_nothing_twice(tmp_path: Path) -> None:
    """Closed minutes are made anew all the time: few batches of bars find none that waits for it."""
    lines, alive = lines_of_pairs(random.Random(8))
    options = ("--source", "publish", "--late-window", "3600")
    for part in range(1, KILLS + 1):
        async with program(tmp_path, *options) as running, httpx.AsyncClient(timeout=PATIENCE) as client:
            seq = (await client.get(f"{running.url}/v1/publish")).json()["data"]["seq"]
            while seq < LINES * part // KILLS:
                body = "\n".join(map(json.dumps, lines[seq : seq + 5])).encode()
                answer = await client.post(f"{running.url}/v1/publish", content=body, headers=NDJSON)
                assert answer.json()["data"]["bad"] == []
                seq = answer.json()["data"]["seq"]
            await running.end(signal.SIGKILL)
            assert "Traceback" not in running.log
    async with program(tmp_path, *options) as running, httpx.AsyncClient(timeout=PATIENCE) as client:
        await send(client, running, lines)
        async with asyncio.timeout(PATIENCE):
            while (await client.get(f"{running.url}/v1/publish")).json()["data"]["durable"] < LINES:
                pass
        for code, decimals in PAIRS.items():
            trades = [one for one in alive.values() if one["code"] == code]
            trades.sort(key=lambda one: (one["time"], one["seq"]))
            expected = expected_bars(dict(enumerate(trades)), decimals)
            await minutes_are(client, running.url, code, expected)
            for kline_type in range(2, 11):
                larger = await bars(client, running.url, code, kline_type)
                assert sum(Decimal(bar["volume"]) for bar in larger) == sum(
                    Decimal(one["volume"]) for one in trades
                )
