"""kill -9 at random moments, and what is left: the real program as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from tickwire.model import Correction, Event, Trade
from tickwire.store.recordings import GapReason, Recordings

from .serving import OTHER_HTTP, OTHER_WS, PATIENCE, STOCK_HTTP, TRADE, Link, Program, program

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

SOAK = "TICKWIRE_SOAK" in os.environ
KILLS = 20 if SOAK else 4
START = 1756679400  # 2025-08-31, a Sunday, 22:30 UTC: a day, a week and a month end on the way
HOURS = 5
LINES = 20_000
SPEED = 12_000
"""Five hours in a second and a half."""
CODES = {"BTCUSDT": 2, "GOLD": 2, "EURUSD": 5, "AAPL.US": 2, "700.HK": 1, "000001.SH": 2}
"""Codes and the decimals of their prices."""


def write_recording(path: Path, dice: random.Random) -> None:
    """Trades in bursts and with gaps; many share a millisecond."""
    moments = sorted(dice.choices(range(START * 1000, (START + HOURS * 3600) * 1000, 100), k=LINES))
    price = {code: 10_000 + n for n, code in enumerate(CODES)}
    lines = ["code,tick_time_ms,price,volume\n"]
    for moment in moments:
        code = dice.choice([*CODES, "BTCUSDT", "BTCUSDT"])
        if code in ("EURUSD", "700.HK") and moment // 60_000 % 7 < 5:
            continue  # they rest for minutes
        price[code] += dice.randrange(-9, 10)
        shown = Decimal(price[code]).scaleb(-CODES[code])
        volume = f"0.{dice.randrange(1, 99999):05}" if code == "BTCUSDT" else dice.randrange(0, 500)
        lines.append(f"{code},{moment},{shown},{volume}\n")
    path.write_text("".join(lines))


def replay(folder: Path, recording: Path) -> contextlib.AbstractAsyncContextManager[Program]:
    return program(
        folder, "--source", "replay", "--file", str(recording), "--speed", str(SPEED), "--keep-bars"
    )


async def bars(client: httpx.AsyncClient, url: str, code: str, kline_type: int) -> list[dict[str, str]]:
    """All bars of a type, page by page."""
    base = STOCK_HTTP if "." in code else OTHER_HTTP
    found: list[dict[str, str]] = []
    end = 0
    while True:
        data = {
            "code": code,
            "kline_type": kline_type,
            "query_kline_num": 500,
            "kline_timestamp_end": end,
        }
        query = msgspec.json.encode({"data": data}).decode()
        response = await client.get(f"{url}{base}/kline", params={"token": "t", "query": query})
        page: list[dict[str, str]] = response.json()["data"]["kline_list"]
        found = page + found
        if len(page) < 500:
            return found
        end = int(page[0]["timestamp"]) - 1


async def ended(running: Program) -> dict[tuple[str, int], list[dict[str, str]]]:
    """All bars of all codes and types once the recording has ended."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient(timeout=PATIENCE) as client:
        while "source ended" not in running.log:
            await client.get(f"{running.url}/readyz")
        return {
            (code, kline_type): await bars(client, running.url, code, kline_type)
            for code in CODES
            for kline_type in range(1, 11)
        }


async def test_a_replay_killed_again_and_again_gives_the_bars_of_one_run(tmp_path: Path) -> None:
    dice = random.Random(20)
    recording, killed, whole = tmp_path / "recording.csv", tmp_path / "killed", tmp_path / "whole"
    write_recording(recording, dice)
    killed.mkdir()
    whole.mkdir()
    length = HOURS * 3600 / SPEED
    midway = recovered = 0
    for _ in range(KILLS):
        async with replay(killed, recording) as running:
            await asyncio.sleep(dice.uniform(0.1, 0.9 * length))  # the moment of the kill
            status, _ = await running.end(signal.SIGKILL)
            assert status == -signal.SIGKILL
            midway += "source ended" not in running.log
            recovered += "bars recovered" in running.log
            assert "Traceback" not in running.log
    assert min(midway, recovered) > KILLS / 2, "most kills must come after a write and before the end"
    async with replay(killed, recording) as running:
        found = await ended(running)
        assert "bars recovered" in running.log
    async with replay(whole, recording) as running:
        expected = await ended(running)
        assert "bars recovered" not in running.log
    assert len(expected["BTCUSDT", 1]) > 250
    assert [len(expected["BTCUSDT", kline_type]) for kline_type in (8, 9, 10)] == [2, 2, 2]
    for key, one in expected.items():
        assert found[key] == one, key


class Trades:
    """What a client sees of trades until its connection is gone."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, Decimal]] = []
        """Arrival and volume of each."""

    async def watch(self, link: Link) -> None:
        with contextlib.suppress(Exception):
            while True:
                data = (await link.push())["data"]
                self.seen.append((time.time(), Decimal(data["volume"])))

    def volume(self, until: float) -> Decimal:
        return sum((volume for at, volume in self.seen if at <= until), Decimal(0))


async def minutes_since(url: str, since: int) -> Decimal:
    """The volume of all minute bars from that second on."""
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        found = await bars(client, url, "BTCUSDT", 1)
    return sum((Decimal(bar["volume"]) for bar in found if int(bar["timestamp"]) >= since), Decimal(0))


async def test_a_killed_simulator_has_all_up_to_when_it_says(tmp_path: Path) -> None:
    began = int(time.time()) // 60 * 60
    trades, later = Trades(), Trades()
    options: dict[str, Any] = {"ping_interval": None, "compression": None}
    async with program(tmp_path, "--codes", "BTCUSDT", "--rate", "50") as running:
        async with connect(running.url.replace("http", "ws", 1) + OTHER_WS + "?token=t", **options) as ws:
            link = Link(ws)
            await link.subscribe(TRADE, "BTCUSDT")
            watching = asyncio.create_task(trades.watch(link))
            before = await minutes_since(running.url, began)
            async with asyncio.timeout(120):
                while len(trades.seen) < 150:
                    await minutes_since(running.url, began)
            killed_at = time.time()
            await running.end(signal.SIGKILL)
            await watching  # what was under way when it was killed has come
        assert "bars recovered" not in running.log
    # What was written before it was sent, in the moment of the kill, is kept as well; what were counted twice
    # would be more than the trades of a second.
    sent = trades.volume(killed_at + 60)
    most = before + sent + (sent - trades.volume(killed_at - 1))
    # It goes on with a step in a thousand seconds: what comes with the start is all that comes.
    async with program(tmp_path, "--codes", "BTCUSDT", "--rate", "0.001") as running:
        line = next(line for line in running.log.splitlines() if "bars recovered" in line)
        assert "source=simulator" in line
        kept_until = int(line.partition("kept_until=")[2].split()[0])
        assert killed_at - (2 if SOAK else 5) <= kept_until <= killed_at  # a busy disk writes a little later
        least = trades.volume(kept_until)
        assert 0 < least <= trades.volume(killed_at)
        async with connect(running.url.replace("http", "ws", 1) + OTHER_WS + "?token=t", **options) as ws:
            link = Link(ws)
            await link.subscribe(TRADE, "BTCUSDT")
            first = (await link.push())["data"]
            later.seen.append((0, Decimal(first["volume"])))
            kept = await minutes_since(running.url, began) - later.volume(1)
            assert least <= kept <= most
            await link.ask(22006, {"cancel_type": 0})
            both = [{"code": "BTCUSDT", "kline_type": kline_type} for kline_type in (1, 8)]
            await link.ask(28004, {"symbol_list": both})
            pushed: dict[int, dict[str, Any]] = {}
            while pushed.keys() != {1, 8}:
                data = (await link.push())["data"]
                pushed[data["kline_type"]] = data
            assert pushed[8]["incomplete"] == 1
            if int(pushed[1]["timestamp"]) <= killed_at:
                assert pushed[1]["incomplete"] == 1


# What is published.
PUBLISHED_KILLS = 50 if SOAK else 4
PUBLISH = "/v1/publish"
DESKS = {"a": ["BTCUSDT", "ETHUSDT"], "b": ["GOLD", "AAPL.US", "EURUSD"]}
"""Two publishers, each with codes of its own."""
LINES_EACH = 20
"""Lines of a message."""
PACE = 0.01
"""Seconds between messages: a kill then falls between all that is written now and then."""


class Desk:
    """A publisher whose n-th line is always the same, and what it was promised."""

    def __init__(self, name: str, begin: int) -> None:
        self.name = name
        self.begin = begin
        self.sent = self.durable = 0

    def line(self, seq: int) -> tuple[dict[str, Any], list[tuple[str, str, int]]]:
        """A line, and the kind, code and time of the events that come of it. No two events of a kind and
        code have the same time."""
        codes = DESKS[self.name]
        code, at = codes[seq % len(codes)], self.begin + seq
        line = {"code": code, "time": at, "seq": seq}
        match seq // len(codes) % 3:
            case 0:
                trade = {"type": "trade", "price": "100.50", "volume": volume_of(seq)}
                return line | trade, [("trade", code, at)]
            case 1:
                book = {"type": "book", "bids": [["100.25", seq]], "asks": [["100.75", 1], ["101.00", 2]]}
                return line | book, [("book", code, at)]
            case _:
                quote = {"type": "quote", "bid": "100.25", "ask": "100.75"}
                book_and_trade = [("book", code, at), ("trade", code, at)]
                return line | quote, book_and_trade if code in ("GOLD", "EURUSD") else book_and_trade[:1]

    async def publish(self, server: Program, until: int | None = None) -> None:
        """Sends what the server does not have, as its GET says, and goes on until it is killed."""
        after = await self.standing(server)
        url = server.url.replace("http", "ws", 1) + f"{PUBLISH}?publisher={self.name}"
        async with connect(url, compression=None) as socket:
            while until is None or after < until:
                seqs = range(after + 1, after + 1 + LINES_EACH)
                await socket.send("\n".join(json.dumps(self.line(seq)[0]) for seq in seqs))
                after = seqs[-1]
                self.sent = max(self.sent, after)
                data = json.loads(await socket.recv())["data"]
                assert (data["accepted"], data["seq"]) == (LINES_EACH, after), data
                assert self.durable <= data["durable"] <= after
                self.durable = data["durable"]
                await asyncio.sleep(PACE)

    async def standing(self, server: Program) -> int:
        """The last line that the server took: not one that was called durable is missing."""
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
            data = (await client.get(PUBLISH, params={"publisher": self.name})).json()["data"]
        assert self.durable <= data["durable"] <= data["seq"] <= self.sent
        self.durable = data["durable"]
        return int(data["seq"])

    async def settled(self, server: Program) -> None:
        """Returns once all is durable."""
        async with asyncio.timeout(PATIENCE):
            while self.durable < self.sent:
                await self.standing(server)


def volume_of(seq: int) -> int:
    """No two sums of a few of these are the same by accident."""
    return seq * seq % 10_007 + 1


async def test_what_is_published_is_in_bars_and_recording_once_however_often_the_server_is_killed(
    tmp_path: Path,
) -> None:
    dice = random.Random()
    begin = int(time.time() * 1000) - 3_000_000
    desks = [Desk(name, begin) for name in DESKS]
    ticks = tmp_path / "ticks"
    options = ("--source", "publish", "--record", str(ticks), "--late-window", "3600")
    for _ in range(PUBLISHED_KILLS):
        async with program(tmp_path, *options) as server:
            publishing = [asyncio.create_task(desk.publish(server)) for desk in desks]
            await asyncio.sleep(dice.uniform(0.05, 1.5))  # the moment of the kill
            server.process.kill()
            await server.process.wait()
            ends = await asyncio.gather(*publishing, return_exceptions=True)
            assert not [end for end in ends if isinstance(end, AssertionError)], ends
            assert "Traceback" not in server.log
    async with program(tmp_path, *options) as server:
        for desk in desks:
            await desk.publish(server, until=desk.sent + 1)
            await desk.settled(server)
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            for desk in desks:
                for code in DESKS[desk.name]:
                    lines = [desk.line(seq)[0] for seq in range(1, desk.sent + 1)]
                    expected = sum(
                        line["volume"] for line in lines if line["code"] == code and "volume" in line
                    )
                    found = await bars(client, server.url, code, 1)
                    assert sum(Decimal(bar["volume"]) for bar in found) == expected, code
        status, _ = await server.end()
        assert status == 0
    recorded = [
        (kind_of(one.event), one.event.code, one.event.time)
        for one in Recordings(ticks).read()
        if not isinstance(one.event, Correction)
    ]
    for desk in desks:
        events = [event for seq in range(1, desk.sent + 1) for event in desk.line(seq)[1]]
        assert [one for one in recorded if one[1] in DESKS[desk.name]] == events
    assert {gap.reason for gap in Recordings(ticks).contents().gaps} <= {
        GapReason.BROKEN_OFF,
        GapReason.DAMAGED,
    }


def kind_of(event: Event) -> str:
    return "trade" if isinstance(event, Trade) else "book"
