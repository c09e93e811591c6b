"""PostgreSQL that is stopped, killed and halted under a running server: the real programs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect

from tickwire.model import Kline, KlineType
from tickwire.store import klines_of
from tickwire.store.bar_rows import bars_of
from tickwire.store.opening import SPOOL

from .forks import spawn
from .postgres import Postgres, running
from .serving import (
    OTHER_HTTP,
    OTHER_WS,
    PATIENCE,
    TRADE,
    Link,
    program,
    program_environment,
    until,
)
from .stores import Place, opened

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

CODES = ("BTCUSDT", "GOLD")
TYPES = range(1, 11)
SECRET = "pa55w0rd"


@pytest.fixture
def server() -> Iterator[Postgres]:
    with running() as made:
        yield made


async def answer(client: httpx.AsyncClient, url: str, code: str, kline_type: int) -> httpx.Response:
    data = {"code": code, "kline_type": kline_type, "query_kline_num": 500, "kline_timestamp_end": 0}
    query = msgspec.json.encode({"data": data}).decode()
    return await client.get(f"{url}{OTHER_HTTP}/kline", params={"token": "t", "query": query})


async def ask_all(client: httpx.AsyncClient, url: str) -> list[str]:
    """Asks for bars of all codes and types, of which a past is made; what some of them lacked."""
    answers = [await answer(client, url, code, one) for code in CODES for one in TYPES]
    return [one.headers["tickwire-partial"] for one in answers if "tickwire-partial" in one.headers]


async def all_there(client: httpx.AsyncClient, url: str) -> None:
    """Waits until answers lack nothing."""

    async def lack_nothing() -> bool:
        return await ask_all(client, url) == []

    await until(lack_nothing)


def kept(place: Place, before: int) -> dict[tuple[str, KlineType], list[Kline]]:
    """The bars of a store that opened before that."""
    with opened(klines_of, place) as store:
        return {
            (code, one): [bar for bar in store.read("simulator", code, one, count=10**6) if bar.time < before]
            for code in CODES
            for one in KlineType
        }


async def test_a_simulator_s_bars_are_those_of_a_store_that_was_there_all_the_time(
    server: Postgres, tmp_path: Path
) -> None:
    """The same ticks into SQLite and into PostgreSQL, which is away while minutes, hours and a day close."""
    begin = ("--start", "2026-11-16T23:59:54Z", "--seed", "5", "--rate", "20", "--codes", ",".join(CODES))
    midnight = int(datetime(2026, 11, 17, tzinfo=UTC).timestamp())
    for name in ("away", "there"):
        (tmp_path / name).mkdir()
    url, spool = server.database(), tmp_path / "away" / "data" / SPOOL
    async with (
        program(tmp_path / "there", *begin) as there,
        program(tmp_path / "away", *begin, TICKWIRE_DATABASE=url) as away,
        httpx.AsyncClient(timeout=PATIENCE) as client,
    ):
        for one in (there, away):
            assert await ask_all(client, one.url) == []
        server.kill()
        await until(spool.exists)
        assert {*await ask_all(client, away.url)} == {"store"}
        assert (await client.get(f"{away.url}/readyz")).json()["store"]["up"] is False
        told = (await client.get(f"{away.url}/metrics")).text
        assert 'tickwire_store_up{call="write"} 0.0' in told
        assert re.search(r'tickwire_store_waiting_bars{source="simulator"} [1-9]', told)

        async def is_past_midnight() -> bool:
            listed = (await answer(client, there.url, "GOLD", 1)).json()["data"]["kline_list"]
            return int(listed[-1]["timestamp"]) >= midnight

        await until(is_past_midnight)
        await asyncio.sleep(2.5)  # so long it takes a bar to close
        server.start()
        await until(lambda: not spool.exists())
        await all_there(client, away.url)
        for one in (there, away):
            assert (await one.end())[0] == 0
    whole = kept(tmp_path / "there" / "data" / "tickwire.db", midnight)
    assert all(whole[code, one] for code in CODES for one in KlineType if one < KlineType.DAY)
    assert kept(url, midnight) == whole
    assert "the spool is written" in away.log


async def test_what_waits_in_the_spool_survives_kill_9(server: Postgres, tmp_path: Path) -> None:
    url, spool = server.database(), tmp_path / "data" / SPOOL
    named = ("--rate", "50", "--codes", ",".join(CODES))
    async with (
        program(tmp_path, *named, TICKWIRE_DATABASE=url) as served,
        httpx.AsyncClient(timeout=PATIENCE) as client,
    ):
        assert await ask_all(client, served.url) == []
        server.stop()
        await until(spool.exists)
        await until(lambda: {*forming(spool)} == {*CODES})
        await served.end(signal.SIGKILL)
    waiting = forming(spool)

    async def start_when_waited_for() -> None:
        log = tmp_path / "log"
        await until(lambda: log.exists() and "the database is away: waiting for it" in log.read_text())
        assert forming(spool) == waiting
        server.start()

    (tmp_path / "log").write_text("")
    starting = asyncio.create_task(start_when_waited_for())
    async with program(tmp_path, *named, TICKWIRE_DATABASE=url) as served:
        await starting
        await until(lambda: not spool.exists())
        assert "bars wait in the spool" in served.log
    with opened(klines_of, url) as store:
        for code, bar in waiting.items():
            (found,) = store.read("simulator", code, KlineType.MINUTE, count=1, end=bar.time)
            assert (found.time, found.open) == (bar.time, bar.open)
            assert found.volume >= bar.volume


def forming(spool: Path) -> dict[str, Kline]:
    """The last minute of each code that waits."""
    with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as file:
        if not file.execute("SELECT 1 FROM sqlite_master WHERE name = 'bar'").fetchall():
            return {}  # it is just being made
        rows = file.execute("SELECT code, content FROM bar WHERE type = 1 ORDER BY time").fetchall()
    return {
        code: bars_of(code, KlineType.MINUTE, [msgspec.msgpack.decode(content)])[0] for code, content in rows
    }


async def test_one_that_hangs_delays_no_tick_and_is_used_again(server: Postgres, tmp_path: Path) -> None:
    url, spool = server.database().replace("tickwire@", f"tickwire:{SECRET}@"), tmp_path / "data" / SPOOL
    async with (
        program(tmp_path, "--rate", "50", "--codes", ",".join(CODES), TICKWIRE_DATABASE=url) as served,
        httpx.AsyncClient(timeout=PATIENCE) as client,
        connect(served.url.replace("http", "ws", 1) + OTHER_WS + "?token=t", max_queue=None) as socket,
    ):
        link = Link(socket)
        assert await ask_all(client, served.url) == []
        await link.subscribe(TRADE, *CODES)
        server.halt()
        longest, last = 0.0, time.monotonic()
        while not spool.exists():
            await link.push()
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 2, "of 100 trades a second"
        assert {*await ask_all(client, served.url)} == {"store"}
        for page in ("/readyz", "/metrics"):
            assert SECRET not in (await client.get(f"{served.url}{page}")).text
        server.go_on()
        await until(lambda: not spool.exists())
        await all_there(client, served.url)
        assert (await served.end())[0] == 0
    assert "Traceback" not in served.log
    assert "Cannot use the database" in served.log
    assert SECRET not in served.log


async def test_a_simulator_that_is_to_begin_anew_begins_on_no_bars(server: Postgres, tmp_path: Path) -> None:
    url = server.database()
    with opened(klines_of, url) as store:
        store.put("simulator", "alive", "1")
    env = program_environment(TICKWIRE_DATABASE=url)
    begin = ("serve", "--port", "0", "--data-dir", str(tmp_path), "--start", "2026-11-16T23:59:54Z")
    process = await spawn(*begin, env=env)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert b"tickwire: A server ran on the database postgresql://" in told
