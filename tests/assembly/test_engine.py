"""A server whose parts fail: a source, a task, a store. It serves on, says so, and mends itself."""

from __future__ import annotations

import asyncio
import importlib
import os
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

import tickwire.assembly.engine
import tickwire.market.intake
from tickwire.access import Token, digest_of, new_id
from tickwire.assembly.tasks import watched
from tickwire.errors import InputError, StartError, StoreError
from tickwire.model import Kline, KlineType
from tickwire.sources import Status
from tickwire.sources.source import Yielded
from tickwire.store import SqliteFile, SqliteKlineStore, open_tokens
from tickwire.store.lock import Lock

from ..serving import OTHER_HTTP, TRADE, Script, Served, serving, trade, until

KLINES = 28004


class Failing(Script):
    """A source that raises when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.began = 0
        self._failure: Exception | None = None

    def fail(self, error: Exception) -> None:
        """Raises that next."""
        self._failure = error
        self.emit(trade())

    async def events(self) -> AsyncIterator[Yielded]:
        self.began += 1
        async for event in super().events():
            if self._failure is not None:
                error, self._failure = self._failure, None
                raise error
            yield event


class Unreadable(SqliteKlineStore):
    """A store of bars that cannot be read while it is told so."""

    unreadable = True

    def read(self, *asked: Any, **named: Any) -> list[Kline]:
        if self.unreadable:
            raise StoreError("The disk cannot be read.")
        return super().read(*asked, **named)

    def restore(self, *asked: Any) -> dict[str, dict[KlineType, list[Kline]]]:
        if self.unreadable:
            raise StoreError("The disk cannot be read.")
        return super().restore(*asked)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed is tried again at once."""
    monkeypatch.setattr(tickwire.market.intake, "SOURCE_RETRY", 0.01)


async def readiness(served: Served) -> Any:
    answer = await served.request("GET", "/readyz")
    assert answer.status_code == 200
    return answer.json()


async def bars(served: Served, **more: Any) -> Any:
    query = {"trace": "t", "data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 500} | more}
    return await served.get(f"{OTHER_HTTP}/kline", query)


# Sources.
async def test_a_source_that_fails_is_down_with_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    source = Failing()
    source.now = 1788529064027
    async with serving(tmp_path, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade(price="1"))
        assert (await link.push())["data"]["price"] == "1.00"
        with capture_logs() as logs:
            source.fail(ValueError("no such number"))
            await until(lambda: source.began == 2)
        (line,) = [one for one in logs if one["event"].startswith("source failed")]
        assert line["reason"] == "ValueError: no such number"
        told = (await readiness(served))["sources"][0]
        assert (told["status"], told["reason"]) == ("down", "ValueError: no such number")
        async with served.link() as other:
            await other.subscribe(TRADE, "BTCUSDT")
            assert (await other.push())["data"]["price"] == "1.00"
        source.now += 1000
        source.emit(trade(price="2"))
        assert (await link.push())["data"]["price"] == "2.00"
        assert source.health.status is Status.UP

        async def told_as_gap() -> bool:
            gaps = (await served.get("/v1/gaps")).json()["data"]["gap_list"]
            return [one["reason"] for one in gaps] == ["ValueError: no such number"]

        await until(told_as_gap)
    assert source.began == 2


async def test_a_fallback_that_fails_leaves_the_preferred_one(tmp_path: Path) -> None:
    first, second = Script(), Failing()
    second.name = "other"
    feeds = [(first, ()), (second, ())]
    async with serving(tmp_path, feeds, fallback_after=60) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        second.fail(RuntimeError("broken"))
        await until(lambda: second.began == 2)
        first.emit(trade(price="3"))
        assert (await link.push())["data"]["price"] == "3.00"
        assert [one["status"] for one in (await readiness(served))["sources"]] == ["up", "down"]


async def test_a_source_whose_data_is_unusable_is_down_and_not_tried_again(tmp_path: Path) -> None:
    source = Failing()
    async with serving(tmp_path, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade(price="1"))
        await link.push()
        source.fail(InputError("day.csv, line 7: no number."))
        await until(lambda: source.health.status is Status.DOWN)
        assert (await readiness(served))["sources"][0]["reason"] == "day.csv, line 7: no number."
        source.emit(trade(price="2"))
        await link.nothing()
    assert source.began == 1


# The store of bars.
def broken(served: Served) -> Unreadable:
    """A store that cannot be read, in place of the one of the server."""
    archive = served.engine.market.feeds.first.bars._archive
    file = served.engine.database._file
    assert isinstance(file, SqliteFile)
    store = Unreadable(file)
    archive._store = store
    return store


async def test_a_first_tick_without_a_store_is_served_and_counted(tmp_path: Path) -> None:
    source, at = Script(), 1788529064027
    async with serving(tmp_path, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(*(trade(volume="1", at=at + n) for n in range(11)))
        for _ in range(11):
            await link.push()
    again = Script()
    async with serving(tmp_path, again) as served, served.link() as link:
        store = broken(served)
        assert (await bars(served)).status_code == 500
        await link.subscribe(TRADE, "BTCUSDT")
        again.emit(trade(volume="1", at=at + 20))
        await link.push()
        answer = await bars(served)
        assert (answer.status_code, answer.headers["tickwire-partial"]) == (200, "store")
        assert [bar["volume"] for bar in answer.json()["data"]["kline_list"]] == ["1.00000"]
        told = (await readiness(served))["store"]
        assert (told["up"], told["reason"]) == (False, "The disk cannot be read.")
        store.unreadable = False

        async def joined() -> bool:
            found = (await bars(served)).json()["data"]["kline_list"]
            return [bar["volume"] for bar in found] == ["12.00000"]

        await until(joined)
        answer = await bars(served)
        assert "tickwire-partial" not in answer.headers
    async with serving(tmp_path, Script()) as served:
        found = (await bars(served)).json()["data"]["kline_list"]
        assert [bar["volume"] for bar in found] == ["12.00000"]


async def test_batch_klines_say_too_that_they_are_partial(tmp_path: Path) -> None:
    source = Script()
    async with serving(tmp_path, source) as served, served.link() as link:
        store = broken(served)
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade())
        await link.push()
        body = {"data": {"data_list": [{"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 2}]}}
        answer = await served.request("POST", f"{OTHER_HTTP}/batch-kline?token=t", json=body)
        assert (answer.status_code, answer.headers["tickwire-partial"]) == (200, "store")
        store.unreadable = False  # else the end waits for it


# Subscriptions of bars.
def running() -> int:
    return len(asyncio.all_tasks())


async def test_subscriptions_of_bars_take_one_task_a_client_and_end_with_it(tmp_path: Path) -> None:
    source = Script()
    async with serving(tmp_path, source) as served:
        store = broken(served)
        before = running()
        async with served.link() as link:
            for kline_type in [1, 2, 3, 4, 5, 8, 9, 10] * 20:
                wanted = [{"code": "BTCUSDT", "kline_type": kline_type}]
                await link.ask(KLINES, {"symbol_list": wanted})
            assert running() <= before + 10
        await until(lambda: running() <= before)
        store.unreadable = False


async def test_a_subscription_of_bars_without_a_store_gets_what_memory_holds(tmp_path: Path) -> None:
    source = Script()
    async with serving(tmp_path, source) as served, served.link() as link:
        store = broken(served)
        source.emit(trade())
        await until(lambda: served.engine.market.events == 1)
        await link.ask(KLINES, {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]})
        assert (await link.push())["data"]["close_price"] == "79317.70"
        store.unreadable = False  # else the end waits for it


# Tasks.
@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("tickwire.market.side.MarketSide", "_keep_up"),
        ("tickwire.gateway.gateway.Gateway", "_watch_tokens"),
        ("tickwire.market.side.MarketSide", "_watch_silence"),
        ("tickwire.gateway.gateway.Gateway", "_renew"),
        ("tickwire.market.ring.Ring", "run"),
        ("tickwire.assembly.engine.Engine", "_note_epochs"),
        ("tickwire.market.intake.Intake", "run"),
        ("tickwire.market.kline_push.KlinePush", "run"),
        ("tickwire.market.scenarios.Scenarios", "carry_out"),
        ("tickwire.gateway.client_faults.ClientFaults", "run"),
        ("tickwire.store.backlog.Backlog", "run"),
        ("tickwire.market.bars.bars.Bars", "run"),
        ("tickwire.market.bars.batches.Batches", "run"),
    ],
)
async def test_a_task_that_fails_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    owner: Any = vars(importlib.import_module(part.rpartition(".")[0]))[part.rpartition(".")[2]]
    proper, tries, again = getattr(owner, method), [0], asyncio.Event()

    async def failing(self: Any, *arguments: Any) -> None:
        tries[0] += 1
        if tries[0] == 1:
            raise RuntimeError("killed")
        again.set()
        await proper(self, *arguments)

    monkeypatch.setattr(tickwire.assembly.engine, "watched", partial(watched, pause=0.01))
    monkeypatch.setattr(owner, method, failing)
    source = Script()
    with capture_logs() as logs:
        async with serving(tmp_path, source) as served, served.link() as link:
            async with asyncio.timeout(120):
                await again.wait()
            await link.ask(KLINES, {"symbol_list": [{"code": "BTCUSDT", "kline_type": 1}]})
            source.emit(trade())
            assert (await link.push())["data"]["close_price"] == "79317.70"
    assert [one["reason"] for one in logs if one["event"].startswith("a task failed")] == [
        "RuntimeError: killed"
    ]


# The data directory.
@pytest.mark.skipif(os.name == "nt", reason="a folder with open files cannot be moved there")
@pytest.mark.parametrize("how", ["moved away and back", "removed and made anew"])
async def test_a_data_directory_that_vanishes_is_told_and_what_memory_holds_is_written_later(
    tmp_path: Path, how: str
) -> None:
    data, source, at = tmp_path / "data", Script(), 1788529064027
    async with serving(data, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade(volume="1", at=at))
        await link.push()

        async def kept() -> bool:
            return bool((await readiness(served))["store"]["waiting_bars"] == 0)

        await until(kept)
        with capture_logs() as logs:
            data.rename(tmp_path / "elsewhere")

            async def told() -> bool:
                return not (await readiness(served))["store"]["up"]

            for minute in (1, 2, 3):
                source.emit(trade(volume="1", at=at + minute * 60_000))
                await link.push()
            await until(told)
            assert "gone" in (await readiness(served))["store"]["reason"]
            answer = await bars(served)
            assert (answer.status_code, answer.headers["tickwire-partial"]) == (200, "store")
            assert len(answer.json()["data"]["kline_list"]) == 4

            async def measured() -> bool:
                metrics = (await served.request("GET", "/metrics")).text
                return 'tickwire_store_up{call="write"} 0' in metrics

            await until(measured)
            if how == "moved away and back":
                (tmp_path / "elsewhere").rename(data)
            else:
                data.mkdir()

            async def whole() -> bool:
                answer = await bars(served)
                return "tickwire-partial" not in answer.headers and (await kept_again())

            async def kept_again() -> bool:
                return bool((await readiness(served))["store"]["waiting_bars"] == 0)

            await until(whole)
        failures = [one["event"] for one in logs if "cannot be" in one["event"]]
        assert len(failures) == len(set(failures)) <= 3, failures
    async with serving(data, Script()) as served:
        found = (await bars(served)).json()["data"]["kline_list"]
        assert [bar["volume"] for bar in found] == ["1.00000"] * 4


async def test_a_start_mends_a_database_whatever_page_of_it_is_damaged(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    source = Script()
    async with serving(whole, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        for minute in range(100):
            source.emit(trade(at=1788529064027 + minute * 60_000))
            await link.push()
    pages = (whole / "tickwire.db").stat().st_size // 4096
    assert pages > 15
    for number in range(pages):
        data = tmp_path / str(number)
        shutil.copytree(whole, data)
        with (data / "tickwire.db").open("r+b") as file:
            file.seek(number * 4096 + 100 * (number == 0))  # that it is a database is still to be seen
            file.write(random.Random(number).randbytes(2000))
        source = Script()
        async with serving(data, source) as served, served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            source.emit(trade(at=1788529064027 + 100 * 60_000))
            await link.push()
            assert (await bars(served)).status_code == 200, number


# What is held against the directory.
async def test_a_server_whose_lock_was_removed_takes_it_again_or_writes_no_more(tmp_path: Path) -> None:
    source, at = Script(), 1788529064027
    async with serving(tmp_path, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        (tmp_path / "lock").unlink()
        other = Lock(tmp_path / "lock", "serves from there", "Stop it.")  # somebody else was faster
        source.emit(trade(at=at))
        await link.push()

        async def told() -> bool:
            return "Another Tickwire" in (await readiness(served))["store"]["reason"]

        await until(told)
        other.release(clean=True)

        async def written() -> bool:
            return bool((await readiness(served))["store"]["waiting_bars"] == 0)

        await until(written)
        with pytest.raises(StartError, match="Another Tickwire"):
            Lock(tmp_path / "lock", "serves from there", "Stop it.")


@pytest.mark.parametrize("how", ["removed", "emptied"])
async def test_a_database_that_was_lost_opens_nothing_where_there_were_tokens(
    tmp_path: Path, how: str
) -> None:
    with open_tokens(tmp_path / "tickwire.db") as store:
        store.add(Token(id=new_id(), digest=digest_of("s", store.key()), name="desk", plan="unlimited"))
    if how == "removed":
        (tmp_path / "tickwire.db").unlink()
    else:
        (tmp_path / "tickwire.db").write_bytes(b"")
    with capture_logs() as logs:
        async with serving(tmp_path, Script()) as served:
            assert (await served.get("/v1/markets", token="any")).status_code == 401
            assert (await served.get("/v1/markets", token="s")).status_code == 401
    assert [one["event"][:19] for one in logs if one["log_level"] == "error"] == ["the tokens are gone"]


async def test_a_token_that_was_revoked_stays_so_without_the_log_of_the_database(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", Script()) as served:
        with open_tokens(tmp_path / "data" / "tickwire.db") as store:
            digest = digest_of("s", store.key())
            store.add(Token(id=new_id(), digest=digest, name="desk", plan="unlimited"))
            store.revoke(store.find("desk"), 1)
        del served
        shutil.copytree(tmp_path / "data", tmp_path / "killed")  # as it stands when it is killed now
    (tmp_path / "killed" / "tickwire.db-wal").unlink()
    (tmp_path / "killed" / "tickwire.db-shm").unlink()
    async with serving(tmp_path / "killed", Script()) as served:
        assert (await served.get("/v1/markets", token="s")).status_code == 401


# A store that can be read and not written.
async def test_bars_are_answered_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    async with serving(tmp_path, codes=["BTCUSDT"]) as served:
        await until(lambda: served.engine.market.events > 0)
        with closing(sqlite3.connect(tmp_path / "tickwire.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await until(lambda: served.engine.database.writes.since is not None)
            answer = await bars(served)  # whose past was never made
            assert (answer.status_code, answer.headers["tickwire-partial"]) == (200, "store")
            served.engine.market.halts.put(partial(served.engine.market.suspensions.clear, "nobody"))
            answer = await served.get("/api/suspension/nyse")
            assert (answer.status_code, answer.headers["tickwire-partial"]) == (200, "store")
            other.execute("ROLLBACK")

        async def whole() -> bool:
            answer = await bars(served)
            return (
                "tickwire-partial" not in answer.headers and len(answer.json()["data"]["kline_list"]) == 500
            )

        await until(whole)


async def test_a_page_is_read_once_for_all_who_ask_at_the_same_time(tmp_path: Path) -> None:
    source = Script()
    async with serving(tmp_path, source) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade())
        await link.push()
        feed_bars = served.engine.market.feeds.first.bars
        read, reads, may_go = feed_bars.read, [0], asyncio.Event()

        async def counted(*asked: Any, **named: Any) -> Any:
            reads[0] += 1
            await may_go.wait()
            return await read(*asked, **named)

        feed_bars.read = counted  # type: ignore[method-assign]
        asking = [asyncio.create_task(bars(served)) for _ in range(20)]
        await until(lambda: reads[0] > 0)
        for _ in range(20):
            await asyncio.sleep(0.01)
        may_go.set()
        answers = [(await one).json() for one in asking]
        assert all(one == answers[0] for one in answers)
        assert reads[0] <= 3
