"""A replay as clients of a real server see it: its order, its beginning, its end."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

import tickwire
from tickwire.sources import Status

from ..forks import Process, spawn
from ..serving import (
    DEPTH,
    DEPTH_PUSH,
    OTHER_HTTP,
    TRADE,
    TRADE_PUSH,
    Link,
    Program,
    Script,
    Served,
    program_environment,
    running,
    serving,
    trade,
    until,
)

KLINE, KLINE_PUSH = 28004, 28998
WATCH, STATUS_PUSH = 28008, 28997
TRADES = "code,tick_time_ms,price,volume\n"
QUOTES = "code,tick_time_ms,bid,bid_volume,ask,ask_volume\n"
START = 1_788_530_520_000
CODES = ("GOLD", "BTCUSDT", "EURUSD")

Tick = tuple[int, str, int, str]


def a_day(folder: Path, count: int = 6_000) -> tuple[list[Path], list[Tick]]:
    """A file of trades and one of quotes, of three codes at random, some of one time; and what a client is to
    be pushed of them, in this order. The price of each is another one."""
    dice = Random(7)
    files = {TRADE_PUSH: [TRADES], DEPTH_PUSH: [QUOTES]}
    ticks: list[Tick] = []
    at = START
    for number in range(count):
        at += dice.choice((0, 0, 1, 20))
        code, kind, price = dice.choice(CODES), dice.choice((TRADE_PUSH, DEPTH_PUSH)), f"{1000 + number}.5"
        rest = "2" if kind == TRADE_PUSH else f"1,{2000 + number}.5,1"
        files[kind].append(f"{code},{at},{price},{rest}\n")
        ticks.append((kind, code, at, price))
    paths = [folder / "trades.csv", folder / "quotes.csv"]
    for path, lines in zip(paths, files.values(), strict=True):
        path.write_text("".join(lines))
    # Of one millisecond what stands in the file that is named first comes first.
    return paths, sorted(ticks, key=lambda tick: (tick[2], tick[0] != TRADE_PUSH))


def ticks_of(link: Link) -> list[Tick]:
    """What a client was pushed."""
    found = []
    for push in link.pushes:
        data = push["data"]
        price = data["price"] if push["cmd_id"] == TRADE_PUSH else data["bids"][0]["price"]
        found.append((push["cmd_id"], data["code"], int(data["tick_time"]), str(Decimal(price).normalize())))
    return found


async def receive(link: Link, count: int) -> None:
    async with asyncio.timeout(120):
        while len(link.pushes) < count:
            await link.recv()


@pytest.fixture(params=[0, 1000], ids=["flat out", "fast"])
def speed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# Order.
async def test_each_client_gets_all_of_it_in_the_recorded_order(tmp_path: Path, speed: int) -> None:
    paths, ticks = a_day(tmp_path)
    async with (
        serving(tmp_path / "data", source=["replay"], file=paths, speed=speed, hold=True) as served,
        served.link(max_queue=None) as link,
        served.link(max_queue=None) as other,
    ):
        await asyncio.gather(subscribe_all(link), subscribe_all(other, "GOLD", "EURUSD"))
        some = [tick for tick in ticks if tick[1] != "BTCUSDT"]
        await asyncio.gather(receive(link, len(ticks)), receive(other, len(some)))
        assert ticks_of(link) == ticks
        assert ticks_of(other) == some


async def subscribe_all(link: Link, *codes: str) -> None:
    """To trades and books; answers of the server come in the order of the requests."""
    symbols = {"symbol_list": [{"code": code} for code in codes or CODES]}
    for cmd_id in (TRADE, DEPTH):
        await link.send({"cmd_id": cmd_id, "seq_id": cmd_id, "trace": "t", "data": symbols})
    for cmd_id in (TRADE, DEPTH):
        assert (await link.answer())["cmd_id"] == cmd_id + 1


async def test_what_is_recorded_of_a_replay_is_replayed_in_the_same_order(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    paths, ticks = a_day(tmp_path)
    ticks_dir = tmp_path / "ticks"
    async with serving(tmp_path / "a", source=["replay"], file=paths, speed=0, record=ticks_dir) as served:
        await ended(served)
    async with (
        serving(tmp_path / "b", source=["replay"], file=[ticks_dir], speed=0, hold=True) as served,
        served.link(max_queue=None) as link,
    ):
        await subscribe_all(link)
        await receive(link, len(ticks))
        assert ticks_of(link) == ticks


async def test_what_was_recorded_of_several_sources_is_replayed_together(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    one, other = Script(), Script()
    other.name = "script:other"
    feeds = [(one, ["BTCUSDT"]), (other, ["GOLD"])]
    async with serving(tmp_path / "a", feeds, record=tmp_path / "ticks") as served:
        for number in range(20):
            (one if number % 3 else other).emit(
                trade("BTCUSDT" if number % 3 else "GOLD", f"{number + 1}", at=START + number)
            )
            await until(lambda: served.engine.market.events > number)  # noqa: B023
    for folders in ([tmp_path / "ticks"], [tmp_path / "ticks/script", tmp_path / "ticks/script-other"]):
        async with (
            serving(tmp_path / "b", source=["replay"], file=folders, speed=0, hold=True) as served,
            served.link() as link,
        ):
            await link.subscribe(TRADE, "BTCUSDT", "GOLD")
            await receive(link, 20)
            assert [int(push["data"]["tick_time"]) - START for push in link.pushes] == [*range(20)]
            assert (await served.request("GET", "/readyz")).json()["simulated"] is False


async def test_what_is_not_sealed_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    feed, ticks, killed = Script(), tmp_path / "ticks", tmp_path / "killed"

    def journaled() -> int:
        return sum(path.read_bytes().count(b"\n") for path in (ticks / "_tickwire").glob("*.journal"))

    async with serving(tmp_path / "a", feed, record=ticks) as served:
        feed.emit(trade("GOLD", "1284.1", at=START), trade("GOLD", "1284.2", at=START + 1))
        await until(lambda: served.engine.market.events == 2 and journaled() >= 2)
        shutil.copytree(ticks, killed)  # as it is after a kill
    async with reading(tmp_path, killed, "--hold") as (process, _):
        _, err = await process.communicate()
        assert process.returncode == 1
        assert "Nothing to replay in killed: its journal is not sealed yet" in err.decode().splitlines()[-1]
    for path in (killed / "_tickwire").glob("*.journal"):
        shutil.copy(path, ticks / "_tickwire" / "000000000000002.journal")
    with capture_logs() as logged:
        async with serving(tmp_path / "b", source=["replay"], file=[ticks], speed=0) as served:
            await ended(served)
            assert served.engine.market.events == 2
    (told,) = (one for one in logged if one["event"] == "a part is not replayed")
    assert told["bytes"] > 0
    assert told["reason"].startswith("its journal is not sealed yet")


# The end.
async def ended(served: Served) -> None:
    health = served.engine.market.source.health
    await until(lambda: health.status is Status.ENDED)


async def test_the_end_is_told_after_the_last_tick_and_the_last_bars(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TRADES + f"GOLD,{START},10,1\nGOLD,{START + 61_000},11,1\n")
    async with (
        serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served,
        served.link() as link,
    ):
        await link.ask(WATCH)
        bars = [{"code": "GOLD", "kline_type": kline_type} for kline_type in (1, 2, 8)]
        await link.ask(KLINE, {"symbol_list": bars})
        await link.subscribe(TRADE, "GOLD")
        while (last := await link.push())["cmd_id"] != STATUS_PUSH or last["data"]["status"] != "ended":
            pass
        assert last["data"]["source"] == "replay:t.csv"
        told = [push["data"] for push in link.pushes if push["cmd_id"] == STATUS_PUSH]
        assert [one["status"] for one in told] == ["up", "ended"]
        trades = [push for push in link.pushes if push["cmd_id"] == TRADE_PUSH]
        assert [one["data"]["price"] for one in trades] == ["10.00", "11.00"]
        closed = [
            (one["data"]["kline_type"], one["data"]["close_price"])
            for one in link.pushes
            if one["cmd_id"] == KLINE_PUSH and one["data"]["state"] == "closed"
        ]
        assert closed == [(1, "10.00"), (1, "11.00"), (2, "11.00"), (8, "11.00")]
        (source,) = (await served.request("GET", "/readyz")).json()["sources"]
        assert (source["status"], source["reason"]) == ("ended", "")
        query = {"code": "GOLD", "kline_type": 2, "kline_timestamp_end": 0, "query_kline_num": 2}
        answer = (await served.get(f"{OTHER_HTTP}/kline", {"data": query})).json()
        assert [one["close_price"] for one in answer["data"]["kline_list"]] == ["11.00"]
        await link.nothing()


async def test_the_end_is_an_event_of_the_client(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TRADES + f"GOLD,{START},10,1\nGOLD,{START + 61_000},11,1\n")
    async with serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served:
        async with asyncio.timeout(120), tickwire.connect(served.url, token="t") as feed:
            await feed.subscribe(trades=["GOLD"], sources=True)
            prices = []
            async for event in feed:
                match event:
                    case tickwire.Trade(price=price):
                        prices.append(price)
                    case tickwire.SourceStatus(status="ended") as told:
                        break
        assert prices == [10, 11]
        assert (told.source, told.reason, told.simulated) == ("replay:t.csv", "", False)
        assert told.time_ms == served.engine.market.source.health.since


@pytest.mark.parametrize("codes", [("BTCUSDT", "GOLD"), ("BTCUSDT",)])
async def test_late_trades_make_the_same_bars_at_every_speed(tmp_path: Path, codes: tuple[str, ...]) -> None:
    source, minute, folder = Script(), START // 60_000 * 60_000, tmp_path / "ticks"
    late = [(10, 1), *((second, 0) for second in range(11, 250)), (30, 2), (70, 3), (251, 4), (130, 5)]
    async with serving(tmp_path / "recorded", source, record=folder) as served:
        for second, price in late:
            code = "BTCUSDT" if price else "GOLD"
            source.emit(trade(code, str(price or 4400), "1", minute + second * 1000))
        await until(lambda: served.engine.market.events == len(late))
    found = []
    for speed in (0, 200, 2000):
        how: dict[str, Any] = {"source": "replay", "file": [folder], "speed": speed, "codes": codes}
        async with serving(tmp_path / str(speed), **how) as served:
            await until(lambda: served.engine.market.source.health.status is Status.ENDED)
            query = {"data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 10}}
            bars = (await served.get(f"{OTHER_HTTP}/kline", query)).json()["data"]["kline_list"]
            found.append([(int(bar["timestamp"]) - minute // 1000, bar["close_price"]) for bar in bars])
    with pytest.warns(tickwire.HistoryWarning, match="in none: 1"):
        table = tickwire.download("BTCUSDT", recording=folder, interval="1m")
    found.append([(int(at.timestamp()) - minute // 1000, f"{one:.2f}") for at, one in table["Close"].items()])
    assert found == [[(0, "2.00"), (60, "3.00"), (240, "4.00")]] * 4


async def test_a_loop_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(TRADES + f"GOLD,{START},10,1\n")
    async with (
        serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True, loop=True) as served,
        served.link() as link,
    ):
        await link.subscribe(TRADE, "GOLD")
        await receive(link, 5)
        assert served.engine.market.source.health.status is Status.UP


@pytest.mark.parametrize("rebase", [False, True])
async def test_a_loop_counts_each_trade_once(tmp_path: Path, rebase: bool) -> None:
    path, minute = tmp_path / "t.csv", START // 60_000 * 60_000
    path.write_text(TRADES + "".join(f"GOLD,{minute + 1000 * n},{10 + n % 9},1\n" for n in range(150)))
    how: dict[str, Any] = {"source": ["replay"], "file": [path], "loop": True, "rebase": rebase}
    with capture_logs() as logged:
        async with (
            serving(tmp_path / "data", speed=500, hold=True, **how) as served,
            served.link(max_queue=None) as link,
        ):
            await link.subscribe(TRADE, "GOLD")
            await receive(link, 700)
            (told,) = (await served.get("/readyz")).json()["sources"]
            assert told["late"] == 0
            query = {"data": {"code": "GOLD", "kline_type": 1, "query_kline_num": 500}}
            bars = (await served.get(f"{OTHER_HTTP}/kline", query)).json()["data"]["kline_list"]
    times = [int(push["data"]["tick_time"]) for push in link.pushes]
    assert "set back" not in str(logged)
    if rebase:
        assert times == sorted(times)
        assert sum(Decimal(bar["volume"]) for bar in bars) >= 700
    else:
        assert times[:150] == times[150:300]
        assert [bar["volume"] for bar in bars] == ["60.00", "60.00", "30.00"]


async def test_a_replay_that_breaks_has_not_ended(tmp_path: Path) -> None:
    path = a_long_file(tmp_path, 6_000)
    with capture_logs() as logged:
        async with (
            serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served,
            served.link(max_queue=None) as link,
        ):
            path.write_bytes(path.read_bytes()[:-5000])  # read whole at the start, and damaged since
            await link.ask(WATCH)
            await link.subscribe(TRADE, "GOLD")
            while (last := await link.push())["cmd_id"] != STATUS_PUSH or last["data"]["status"] == "up":
                pass
            assert last["data"]["status"] == "down"
            assert "Cannot read" in last["data"]["reason"]
    assert "source ended, its last state is served on" not in [entry["event"] for entry in logged]


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"?" * 2000)


def write_anew(path: Path) -> None:
    """In place, and longer than it was."""
    text = path.read_text()
    path.write_text(TRADES + "x" * 50 + text[len(TRADES) :] + text[-1000:])


@pytest.mark.parametrize("change", [cut, spoil, write_anew])
async def test_a_plain_file_that_is_changed_has_not_ended(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "plain.csv"
    path.write_text(TRADES + "".join(f"GOLD,{START + n * 40},1284.{n % 10},2\n" for n in range(6_000)))
    async with (
        serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served,
        served.link(max_queue=None) as link,
    ):
        change(path)
        await link.ask(WATCH)
        await link.subscribe(TRADE, "GOLD")
        trades = 0
        while (last := await link.push())["cmd_id"] != STATUS_PUSH or last["data"]["status"] == "up":
            trades += last["cmd_id"] == TRADE_PUSH
        assert last["data"]["status"] == "down"
        if change is cut:  # all that is left of it
            assert trades == path.read_text().count("\n") - 1
        assert re.fullmatch(f"Cannot read {path} after line .*changed meanwhile.", last["data"]["reason"])


async def test_what_is_added_to_a_file_is_not_replayed(tmp_path: Path) -> None:
    path = tmp_path / "grows.csv"
    path.write_text(f"{TRADES}GOLD,{START},1284.1,2\nGOLD,{START + 40},1284.2,2\n")
    with capture_logs() as logged:
        async with (
            serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served,
            served.link(max_queue=None) as link,
        ):
            with path.open("a") as file:
                file.write(f"GOLD,{START + 80},1284.3,2\n")
            await link.ask(WATCH)
            await link.subscribe(TRADE, "GOLD")
            pushes = [await link.push()]
            while pushes[-1]["cmd_id"] != STATUS_PUSH or pushes[-1]["data"]["status"] == "up":
                pushes.append(await link.push())
    assert pushes[-1]["data"]["status"] == "ended"
    assert [one["data"]["price"] for one in pushes if one["cmd_id"] == TRADE_PUSH] == ["1284.10", "1284.20"]
    (told,) = (one for one in logged if one["event"] == "lines that were added since are not read")
    assert told["line"] == 4


async def test_an_empty_volume_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text(f"{TRADES}GOLD,{START},1284.1,\nGOLD,{START + 40},1284.2,nan\n")
    async with (
        serving(tmp_path / "data", source=["replay"], file=[path], speed=0, hold=True) as served,
        served.link() as link,
    ):
        await link.subscribe(TRADE, "GOLD")
        got = [(await link.push())["data"] for _ in range(2)]
    assert [(one["price"], one["volume"]) for one in got] == [("1284.10", "0.00"), ("1284.20", "0.00")]


# A server that ends with it.
def a_long_file(folder: Path, count: int) -> Path:
    path = folder / "long.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write(TRADES)
        file.writelines(f"GOLD,{START + n * 40},{1284 + n / 1000:.3f},{n}\n" for n in range(count))
    return path


@pytest.fixture
async def ending(tmp_path: Path) -> AsyncIterator[Program]:
    """A held replay of a long file, as a process that ends with it."""
    given = ("--source", "replay", "--file", str(a_long_file(tmp_path, 40_000)), "--speed", "0", "--hold")
    command = ("-m", "tickwire", "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), *given)
    async with running(tmp_path / "log", *command, "--exit-at-end") as program:
        yield program


async def test_it_exits_once_clients_have_all_of_it(ending: Program) -> None:
    async with (
        asyncio.timeout(120),
        tickwire.connect(ending.url, token="t", overflow="wait", buffer=100) as feed,
    ):
        await feed.subscribe(trades=["GOLD"], sources=True)
        count = 0
        async for event in feed:  # taken slowly: nothing is read from the socket meanwhile
            if isinstance(event, tickwire.Trade):
                count += 1
                assert event.volume == count - 1
            elif isinstance(event, tickwire.SourceStatus) and event.status == "ended":
                break
        assert count == 40_000
    async with asyncio.timeout(120):
        assert await ending.process.wait() == 0
    assert "Traceback" not in ending.log


async def test_it_exits_with_an_error_if_it_breaks(ending: Program, tmp_path: Path) -> None:
    path = tmp_path / "long.csv.gz"
    path.write_bytes(path.read_bytes()[:-5000])
    async with asyncio.timeout(120), tickwire.connect(ending.url, token="t") as feed:
        await feed.subscribe(trades=["GOLD"])
        assert await ending.process.wait() == 1
    assert f"Cannot read {path} after line" in ending.log.splitlines()[-1]


# The beginning.
@contextlib.asynccontextmanager
async def reading(folder: Path, path: Path, *more: str) -> AsyncIterator[tuple[Process, str]]:
    """A server that has begun to read a file, and its URL, which it prints at once."""
    process = await spawn(
        *("serve", "--port", "0", "--data-dir", str(folder / "data")),
        *("--source", "replay", "--file", str(path), *more),
        env=program_environment(),
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(120):
            yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_answers_from_the_start_and_says_how_far_it_is(tmp_path: Path) -> None:
    path = a_long_file(tmp_path, 100_000)
    async with (
        reading(tmp_path, path, "--hold") as (process, url),
        httpx.AsyncClient(base_url=url, timeout=120) as http,
    ):
        said = []
        while (answer := await http.get("/readyz")).status_code == 503:
            (source,) = answer.json()["sources"]
            said.append((answer.json()["ready"], source["status"], source["reason"]))
        assert {one[:2] for one in said} == {(False, "connecting")}
        assert any(one[2].startswith("reading: ") and one[2].endswith("0 lines so far") for one in said)
        (source,) = answer.json()["sources"]
        assert (answer.json()["ready"], source["status"], source["reason"]) == (True, "up", "")
        process.terminate()
        assert await process.wait() == 0


async def test_who_subscribes_while_it_reads_gets_all_of_it(tmp_path: Path) -> None:
    path = a_long_file(tmp_path, 40_000)
    async with (
        reading(tmp_path, path, "--hold", "--speed", "0") as (_, url),
        tickwire.connect(url, token="t", overflow="wait") as feed,
    ):
        await feed.subscribe(trades=["GOLD"])
        trades: list[tickwire.Trade] = []
        async for event in feed:
            trades += [event] if isinstance(event, tickwire.Trade) else []
            if len(trades) == 40_000:
                break
        assert [one.volume for one in trades] == [*range(40_000)]
        assert str(trades[1].price) == "1284.001"  # a decimal more than the catalogue has


async def test_it_can_be_stopped_while_it_reads(tmp_path: Path) -> None:
    async with reading(tmp_path, a_long_file(tmp_path, 200_000)) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=120) as http:
            assert (await http.get("/readyz")).status_code == 503
        process.terminate()
        out, err = await process.communicate()
        assert (process.returncode, out) == (0, b"")
        assert b"recording read" not in err
        assert b"Traceback" not in err


async def test_a_file_that_cannot_be_read_to_its_end_ends_the_server(tmp_path: Path) -> None:
    path = a_long_file(tmp_path, 40_000)
    path.write_bytes(path.read_bytes()[:-5000])
    async with reading(tmp_path, path) as (process, _):
        out, err = await process.communicate()
        assert (process.returncode, out) == (1, b"")
        assert f"Cannot read {path} after line" in err.decode().splitlines()[-1]
