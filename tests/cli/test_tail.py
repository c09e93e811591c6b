"""`tickwire tail`: what it prints of live markets, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from ..client.alltick_stub import TOKEN, alltick
from ..forks import Process
from ..serving import TRADE, Script, Served, book, serving, trade
from .commands import AT, DONE, FAILED, INTERRUPTED, WHEN, environment, running, tickwire


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


async def test_trades_are_objects_one_a_line_each_at_once(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.emit(trade("BTCUSDT", "79317.70", "0.5"))
    arguments = ("tail", "BTCUSDT", "700.HK", "--json", "-n", "3", "--url", served.url)
    async with running(tmp_path, *arguments) as process:
        first = json.loads(await line_of(process))
        assert first.pop("seq") > 0
        assert first == {
            "event": "trade",
            "code": "BTCUSDT",
            "time": WHEN,
            "price": "79317.70",
            "volume": "0.50000",
            "turnover": "39658.85",
            "direction": "neutral",
        }
        script.emit(trade("BTCUSDT", "79317.71", at=AT + 1))  # is there though the third has not come
        second = json.loads(await line_of(process))
        assert (second["price"], second["time"]) == ("79317.71", "2026-09-04T13:37:44.028Z")
        script.emit(trade("BTCUSDT", "79317.72", at=AT + 2), trade("BTCUSDT", "79317.73", at=AT + 3))
        rest, err = await process.communicate()
    assert [json.loads(line)["price"] for line in rest.splitlines()] == ["79317.72"]
    assert (process.returncode, err) == (DONE, b"")


async def test_books_and_bars_in_columns_without_colours_in_a_pipe(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.now = AT
    script.emit(trade("GOLD", "4415.32", "8"), book("GOLD"))
    arguments = ("tail", "GOLD", "--books", "--depth", "1", "--klines", "1m", "-n", "2", "--url", served.url)
    done = await tickwire(tmp_path, *arguments)
    assert (done.status, done.err) == (DONE, "")
    assert sorted(done.out.splitlines()) == [
        "2026-09-04T13:37:00.000Z  GOLD  kline  1m  4415.32  4415.32  4415.32  4415.32  8.00  forming",
        f"{WHEN}  GOLD  book   bid 100.00x1.00  ask 101.00x1.00",
    ]


async def test_what_instruments_do(tmp_path: Path, served: Served) -> None:
    arguments = ("tail", "GOLD", "AAPL.US", "--states", "--url", served.url)
    async with running(tmp_path, *arguments, "--json", "-n", "3") as process:
        found = [json.loads(await line_of(process)) for _ in range(2)]
        assert {(one["code"], one["state"]) for one in found} == {("GOLD", "open"), ("AAPL.US", "open")}
        await served.request("POST", "/admin/scenario", json={"step": [{"do": "halt", "codes": ["GOLD"]}]})
        rest, err = await process.communicate()
    last = json.loads(rest)
    assert (last["event"], last["code"], last["state"]) == ("marketstate", "GOLD", "halted")
    assert (process.returncode, err) == (DONE, b"")
    raw = await tickwire(tmp_path, *arguments, "--raw", "-n", "2")
    assert [one["cmd_id"] for one in raw.records] == [28994, 28994]


async def test_where_nobody_says_what_instruments_do_one_line_says_so(tmp_path: Path, served: Served) -> None:
    async with alltick() as vendor:
        place = ("--url", vendor.url, "--token", TOKEN, "--plan", "unlimited")
        alone = await tickwire(tmp_path, "tail", "GOLD", "--states", *place)
        await vendor.trade("GOLD")
        beside = await tickwire(tmp_path, "tail", "GOLD", "--states", "--trades", "-n", "1", *place)
    assert (alone.status, alone.out) == (FAILED, "")
    text = "no states of GOLD: only a Tickwire says what instruments do, of those it has"
    assert text in " ".join(alone.err.split())
    assert (beside.status, beside.err) == (DONE, f"tickwire: {text}.\n")
    assert beside.out.count("\n") == 1
    unknown = await tickwire(tmp_path, "tail", "NOPE", "--states", "--url", served.url)
    assert (unknown.status, unknown.out) == (FAILED, "")
    assert "no states of NOPE" in unknown.err


async def test_raw_messages_are_the_server_s_own(tmp_path: Path, served: Served, script: Script) -> None:
    script.emit(trade("BTCUSDT"))
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        pushed = await link.push()
        done = await tickwire(tmp_path, "tail", "BTCUSDT", "--raw", "-n", "1", "--url", served.url)
    assert (done.status, done.err) == (DONE, "")
    assert done.records == [pushed]
    assert done.out.count(" ") == 0  # byte for byte: nothing of it was written anew


async def test_a_lost_connection_is_a_gap_and_it_goes_on(tmp_path: Path) -> None:
    async with alltick() as vendor:
        await vendor.trade("GOLD")
        arguments = ("tail", "GOLD", "--json", "-n", "3", "--url", vendor.url, "--token", TOKEN)
        async with running(tmp_path, *arguments, "--plan", "unlimited") as process:
            assert json.loads(await line_of(process))["event"] == "trade"
            await vendor.cut()
            await vendor.trade("GOLD", at=AT + 5)
            gap, second = json.loads(await line_of(process)), json.loads(await line_of(process))
            await vendor.trade("GOLD", at=AT + 9)
            _, err = await process.communicate()
    assert (gap["event"], gap["code"], gap["kind"], gap["missed"]) == ("gap", "GOLD", "trade", None)
    assert second["time"] == "2026-09-04T13:37:44.032Z"
    assert process.returncode == DONE  # the gap is none of the three events
    assert err.decode().splitlines() == [
        "tickwire: other: closed by the server: 1011; connecting again.",
        "tickwire: other: connected again.",
    ]


async def test_what_every_stream_is_refused_for_ends_it_with_one_line(tmp_path: Path) -> None:
    async with alltick() as vendor:
        place = ("--url", vendor.url, "--token", TOKEN)
        bars = await tickwire(tmp_path, "tail", "GOLD", "--klines", "1m", *place)
        unknown = await tickwire(tmp_path, "tail", "btcusdt", *place)
        stranger = await tickwire(tmp_path, "tail", "GOLD", "--url", vendor.url, TICKWIRE_TOKEN="wrong-one")
    assert (bars.status, bars.out) == (FAILED, "")
    assert "Only a Tickwire pushes K-lines; `tickwire kline` reads those of any server." in bars.err
    assert (unknown.status, unknown.out) == (FAILED, "")
    said = " ".join(unknown.err.split())
    assert "no trades of btcusdt: code invalid (600), the nearest code is BTCUSDT (by Tickwire's" in said
    assert "own catalogue). Codes are case-sensitive" in said
    assert (stranger.status, stranger.out) == (FAILED, "")
    assert "401" in stranger.err
    assert "--token" in stranger.err
    assert "wrong-one" not in stranger.err
    for done in (bars, unknown, stranger):
        assert done.err.count("\n") == 1
        assert done.err.startswith(f"tickwire: {vendor.url}: ")


async def test_ctrl_c_ends_it_quietly_with_130(tmp_path: Path, served: Served, script: Script) -> None:
    script.emit(trade("GOLD"))
    async with running(tmp_path, "tail", "GOLD", "--url", served.url) as process:
        await line_of(process)
        process.send_signal(signal.SIGINT)
        rest, err = await process.communicate()
    assert (process.returncode, rest, err) == (INTERRUPTED, b"", b"")


async def test_a_reader_that_has_had_enough_ends_it_quietly(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.emit(trade("GOLD"))
    command = 'set -o pipefail; "$0" -m tickwire tail GOLD --url "$1" | head -1'
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command, sys.executable, served.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(tmp_path),
    )
    async with asyncio.timeout(120):
        await line_of(process)
        ending = asyncio.create_task(process.communicate())
        at = AT
        while not ending.done():  # the next write tells it; head may not have gone at the first
            at += 1
            script.emit(trade("GOLD", at=at))
            await asyncio.wait([ending], timeout=0.05)
        _, err = await ending
    assert (process.returncode, err) == (DONE, b"")


async def test_a_quiet_market_is_no_failure(tmp_path: Path, served: Served) -> None:
    done = await tickwire(tmp_path, "tail", "GOLD", "--seconds", "2", "--url", served.url)
    assert done == (DONE, "", "tickwire: no event of GOLD in 2 s: quiet, or no such code here.\n")


async def test_one_code_of_several_that_nothing_comes_of_is_told(tmp_path: Path) -> None:
    async with alltick() as vendor:
        await vendor.trade("GOLD")
        place = ("--url", vendor.url, "--token", TOKEN)
        done = await tickwire(tmp_path, "tail", "GOLD", "NOSUCH", "btcusdt", "--seconds", "2", *place)
    assert len(done.out.splitlines()) == 1
    assert done.err == (
        "tickwire: no event of NOSUCH, btcusdt in 2 s: quiet, or no such code here, "
        "the nearest code is BTCUSDT (by Tickwire's own catalogue).\n"
    )


async def test_a_tickwire_says_which_codes_there_are_not(
    tmp_path: Path, served: Served, script: Script
) -> None:
    script.emit(trade("GOLD"))
    codes = ("GOLD", "NOSUCH", "btcusdt")
    done = await tickwire(tmp_path, "tail", *codes, "--seconds", "2", "--url", served.url)
    assert len(done.out.splitlines()) == 1
    assert done.err == (
        "tickwire: no trades of NOSUCH, btcusdt: code invalid (600), "
        "the nearest code is BTCUSDT (by Tickwire's own catalogue).\n"
    )


async def test_a_connection_that_the_plan_refuses_says_so(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    async with serving(tmp_path / "server", plan="free") as served, served.link():
        done = await tickwire(tmp_path, "tail", "GOLD", "--token", "t", "--url", served.url)
    assert done.status == FAILED
    assert "HTTP 429" in done.err
    assert "Others may use this token too" in done.err
    assert "tickwire serve" not in done.err
