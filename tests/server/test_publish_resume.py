"""Publishers and clients that go on after the server: what it says that it has, and what it shows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tickwire import Book, Gap, Trade, __version__
from tickwire import connect as feed_of
from tickwire.errors import StoreError
from tickwire.market.bars import batches
from tickwire.model import Family

from ..serving import OTHER_HTTP, OTHER_WS, PATIENCE, Link, Program, program, until
from .publishing import NDJSON, NEW, PATH, Desk, Talk, a_trade, desk_in, now, packed

HELLO = {"cmd_id": 28000, "seq_id": 7, "trace": "h", "data": {}}


def a_book(seq: int, *bids: tuple[str, int], kind: str = "book", code: str = "BTCUSDT") -> dict[str, Any]:
    return {"type": kind, "code": code, "time": now(), "bids": bids, "asks": [], "seq": seq}


async def hello(talk: Talk) -> dict[str, Any]:
    await talk.socket.send(json.dumps(HELLO))
    document = await talk.document()
    assert (document["ret"], document["cmd_id"], document["seq_id"], document["trace"]) == (
        200,
        28001,
        7,
        "h",
    )
    data: dict[str, Any] = document["data"]
    return data


async def durable(desk: Desk, seq: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await desk.standing())["durable"] < seq:
            pass


async def lasts(url: str, path: str, *codes: str) -> dict[str, dict[str, Any]]:
    """What /trade-tick or /depth-tick answers, by code."""
    query = json.dumps({"data": {"symbol_list": [{"code": code} for code in codes]}})
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        answer = await client.get(f"{OTHER_HTTP}{path}", params={"token": "t", "query": query})
    return {one["code"]: one for one in answer.json()["data"]["tick_list"]}


# What a publisher is told.
async def test_a_hello_says_how_the_publisher_stands(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        fresh = await hello(talk)
        assert (fresh["seq"], fresh["durable"], fresh["streams"]) == (0, 0, [])
        assert (fresh["server"], fresh["version"], fresh["publisher"]) == ("tickwire", __version__, "local")
        assert abs(fresh["time"] - now()) < 60_000
        data = await talk.send(a_trade(1), a_trade(2, "GOLD"), a_book(3, ("5.00", 1)), a_trade(4))
        assert data["message"] == 2  # the hello was one
        await durable(desk, 4)
        told = await hello(talk)
        assert (told["seq"], told["durable"]) == (4, 4)
        assert [(one["kind"], one["code"], one["seq"], one["durable"]) for one in told["streams"]] == [
            ("trade", "BTCUSDT", 4, 4),
            ("depth", "BTCUSDT", 3, 3),
            ("trade", "GOLD", 2, 2),
        ]
        assert (await desk.standing())["streams"] == told["streams"]
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        again = await hello(talk)
        assert (again["seq"], again["durable"], again["streams"]) == (4, 4, told["streams"])
        assert (await talk.send(a_trade(4), a_trade(5)))["duplicates"] == 1


async def test_only_a_hello_by_itself_is_one(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        named = NEW | {"code": "CMD", "name_en": "cmd_id"}
        assert (await talk.send(named, a_trade(1, "CMD", price="1")))["accepted"] == 2
        assert (await talk.send(a_trade(2), HELLO))["bad_lines"] == 1
        for other in ({"cmd_id": 22000, "data": {}}, {"cmd_id": "x"}, HELLO | {"trace": "t" * 65}):
            assert (await talk.send(other))["bad_lines"] == 1
        assert (await talk.send(json.dumps(HELLO) + " " * 1024))["bad_lines"] == 1
        assert (await hello(talk))["seq"] == 2


# What clients are shown.
async def test_what_was_published_last_is_shown_after_a_restart(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await desk.data(packed(a_trade(1, price="7.5"), a_trade(2, "GOLD"), a_book(3, ("7.25", 3))))
        await desk.served_all()
        before = await lasts(desk.served.url, "/trade-tick", "BTCUSDT", "GOLD")
    async with desk_in(tmp_path, upstream_silence=1) as desk:
        epoch = desk.served.engine.market.epoch
        shown = await lasts(desk.served.url, "/trade-tick", "BTCUSDT", "GOLD")
        for code, one in before.items():
            assert shown[code] == one | {"seq": str(epoch - 1)}
            assert int(one["seq"]) < epoch - 1
        books = await lasts(desk.served.url, "/depth-tick", "BTCUSDT")
        assert books["BTCUSDT"]["bids"] == [{"price": "7.25", "volume": "3.00000"}]
        async with desk.served.link() as link:
            await link.ask(22004, {"symbol_list": [{"code": "BTCUSDT"}]})
            first = (await link.push())["data"]
            assert (first["seq"], first["price"]) == (epoch - 1, "7.50")
            await desk.data(packed(a_trade(4, price="8")))
            assert (await link.push())["data"]["seq"] == epoch
        async with (
            desk.served.link() as link
        ):  # it was no event of this run: who resumes does not get it twice
            item = {"kind": "trade", "code": "GOLD", "epoch": epoch - 10, "seq": epoch - 9}
            document = await link.ask(28016, {"items": [item]})
            (told,) = document["data"]["items"]
            assert (told["state"], told["from"]) == ("gap", epoch)
            await desk.data(packed(a_trade(5, "GOLD", price="9")))
            assert (await link.push())["data"]["seq"] == epoch
        assert await volume(desk.served.url, "GOLD") == 2  # nothing counts once more


async def test_what_nobody_publishes_any_more_is_stale_and_shown(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await desk.data(packed(a_book(1, ("7.25", 3))))  # without a bar
        await desk.served_all()
    async with desk_in(tmp_path, upstream_silence=1) as desk:
        async with asyncio.timeout(PATIENCE):
            while True:
                (source,) = (await desk.client.get("/readyz")).json()["sources"]
                if source["status"] == "stale":
                    break
        assert source["reason"] == "every publisher has been silent for 1 s"
        assert "BTCUSDT" in await lasts(desk.served.url, "/depth-tick", "BTCUSDT")


async def test_a_code_that_comes_from_another_source_shows_that_one(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await desk.data(packed(a_trade(1, price="7.5"), a_trade(2, "ETHUSDT", price="7.5")))
    sources = ["publish=ETHUSDT", "simulator=BTCUSDT"]
    async with desk_in(tmp_path, source=sources, rate=0.001) as desk:
        shown = await lasts(desk.served.url, "/trade-tick", "BTCUSDT", "ETHUSDT")
        assert shown["ETHUSDT"]["price"] == "7.50"
        assert shown["BTCUSDT"]["price"] != "7.50"


async def test_deltas_go_on_after_a_restart(tmp_path: Path) -> None:
    async with desk_in(tmp_path, record=tmp_path / "ticks") as desk:
        await desk.data(packed(a_book(1, ("7.25", 3), ("7.00", 1))))
    async with desk_in(tmp_path, record=tmp_path / "ticks") as desk:
        data = await desk.data(packed(a_book(2, ("7.25", 0), kind="delta")))
        assert data["bad"] == []
        await desk.served_all()
        books = await lasts(desk.served.url, "/depth-tick", "BTCUSDT")
        assert books["BTCUSDT"]["bids"] == [{"price": "7.00", "volume": "1.00000"}]


# Stops.
async def connected(server: Program, publisher: str = "") -> ClientConnection:
    url = server.url.replace("http", "ws", 1) + PATH + (f"?publisher={publisher}" if publisher else "")
    return await connect(url, compression=None, ping_interval=None)


async def volume(url: str, code: str) -> int:
    """The sum of all minutes."""
    query = json.dumps({"data": {"code": code, "kline_type": 1, "query_kline_num": 500}})
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        answer = await client.get(f"{OTHER_HTTP}/kline", params={"token": "t", "query": query})
    return int(sum(Decimal(bar["volume"]) for bar in answer.json()["data"]["kline_list"]))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM")
async def test_a_stop_with_a_full_queue_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    options = ("--source", "publish", "--record", str(tmp_path / "ticks"))
    at, names = now(), [f"desk-{number}" for number in range(40)]
    answers: dict[str, dict[str, Any]] = {}
    full = asyncio.Event()

    async def flood(server: Program, name: str) -> None:
        """Sends message after message, and hears the answers."""
        socket = await connected(server, name)
        with suppress(ConnectionClosed):
            for first in count(1, 500):
                seqs = range(first, first + 500)
                await socket.send("\n".join(json.dumps(a_trade(seq, time=at)) for seq in seqs))
                answers[name] = json.loads(await socket.recv())["data"]
                if answers[name]["queued"] > 15_000:
                    full.set()
        assert (socket.close_code, socket.close_reason) == (1001, "server shutdown")

    async with program(tmp_path, *options) as server:
        flooding = [asyncio.create_task(flood(server, name)) for name in names]
        async with asyncio.timeout(PATIENCE):
            await full.wait()
        status, _ = await server.end()
        await asyncio.gather(*flooding)
        assert (status, "Traceback" in server.log, "not all of" in server.log) == (0, False, False)
    async with program(tmp_path, *options) as server:
        taken = 0
        for name in names:
            socket = await connected(server, name)
            await socket.send(json.dumps(HELLO))
            stands = json.loads(await socket.recv())["data"]
            await socket.close()
            # What was taken of a message that could not be answered any more is there, too.
            assert stands["seq"] == stands["durable"] >= answers.get(name, {"seq": 0})["seq"]
            taken += stands["seq"]
        assert await volume(server.url, "BTCUSDT") == taken
        assert (await lasts(server.url, "/trade-tick", "BTCUSDT"))["BTCUSDT"]["tick_time"] == str(at)
        assert (await server.end())[0] == 0


async def test_what_is_being_taken_is_answered_before_the_end(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        desk.published.limit = 0
        await talk.socket.send(packed(a_trade(1)).decode())
        (socket,) = desk.served.server._websockets._publishers
        await until(lambda: socket._taking is not None)
        desk.served.server.stop()
        await until(lambda: socket._leaving is not None)
        desk.published.limit = 20_000
        desk.published._freed.set()
        assert (await talk.answer())["seq"] == 1
        with pytest.raises(ConnectionClosed):
            await talk.answer()
        assert talk.socket.close_code == 1001


async def test_a_message_that_cannot_be_taken_holds_the_end_for_two_seconds(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        desk.published.limit = 0
        await talk.socket.send(packed(a_trade(1)).decode())
        (socket,) = desk.served.server._websockets._publishers
        await until(lambda: socket._taking is not None)
        desk.served.server.stop()
        with pytest.raises(ConnectionClosed):
            await talk.answer()
        assert talk.socket.close_code == 1001


async def test_a_body_that_goes_on_is_told_what_was_taken_of_it(tmp_path: Path) -> None:
    async with program(tmp_path, "--source", "publish") as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {NDJSON['content-type']}\r\n"
        chunk = packed(a_trade(1), a_trade(2)) + b"\n"
        body = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + body)
        async with (
            httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client,
            asyncio.timeout(PATIENCE),
        ):
            while (await client.get(PATH)).json()["data"]["seq"] != 2:
                pass
        ending = asyncio.create_task(server.end(signal.SIGTERM))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        document = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (document["ret"], document["data"]["accepted"], document["data"]["seq"]) == (503, 2, 2)
        writer.close()
        assert (await ending)[0] == 0


async def test_what_cannot_be_kept_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(batches, "FINAL_WAIT", 0.1)
    with capture_logs() as logs:
        async with desk_in(tmp_path) as desk:
            await desk.data(packed(a_trade(3)), publisher="desk-2")
            await until(lambda: desk.published.publishers.named("local/desk-2").kept == 3)
            engine = desk.served.engine
            monkeypatch.setattr(engine.market.feeds.first.batches._archive._store, "write", refuse)
            await desk.data(packed(a_trade(4), a_trade(5)), publisher="desk-2")
    assert any("are lost (BTCUSDT" in text for text in engine.lost)
    (named,) = [one for one in logs if "not all of a publisher" in one["event"]]
    assert (named["publisher"], named["durable"], named["taken"]) == ("local/desk-2", 3, 5)


async def test_one_event_that_fails_at_the_end_takes_no_others_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk_in(tmp_path) as desk:
        intake, source = desk.served.engine.market.intake, desk.published
        await desk.data(packed(a_trade(1)))
        await desk.served_all()
        known = source.publishers.named("local")
        tally = source.tally(known)
        lines = [packed(a_trade(seq, price=str(seq))) for seq in (2, 3, 4)]
        place, _, _ = source._read(known, lines, 0, tally, None)  # they wait, for nobody has had a turn
        assert (place, source.queued) == (3, 3)
        serve = intake._serve

        def break_once(*arguments: Any) -> None:
            if arguments[1].source_seq == 3:
                raise RuntimeError("it breaks")
            serve(*arguments)

        monkeypatch.setattr(intake, "_serve", break_once)
        intake.end(desk.served.engine.market.feeds.first)
        assert source.queued == 0
        assert (await desk.last_trade())["price"] == "4.00"


async def test_a_pattern_means_codes_that_an_earlier_run_had(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await desk.data(packed(a_trade(1, "ETHUSDT", price="7.5")))
    async with desk_in(tmp_path) as desk:
        url = desk.served.url.replace("http", "ws", 1) + OTHER_WS + "?token=t"
        async with connect(url, compression=None) as socket:
            link = Link(socket)
            await link.ask(28012, {"add": [{"kind": "trade", "code": "ETH*"}]})
            assert (await link.push())["data"]["price"] == "7.50"


async def test_a_feed_goes_on_from_what_it_was_shown_after_a_restart(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await desk.data(packed(a_trade(1, price="7.5"), a_book(2, ("7.25", 3))))
    async with desk_in(tmp_path) as desk, feed_of(desk.served.url) as feed:
        await feed.subscribe(trades=["BTCUSDT"], books=["BTCUSDT"])
        async with asyncio.timeout(PATIENCE):
            shown: dict[type, Any] = {}
            while shown.keys() != {Trade, Book}:
                event = await anext(feed)
                if isinstance(event, (Trade, Book)):
                    shown[type(event)] = event
            assert {one.seq for one in shown.values()} == {desk.served.engine.market.epoch - 1}
            feed.links[Family.OTHER].reconnect("a test")
            await desk.data(packed(*(a_trade(seq, price=str(seq)) for seq in range(3, 40))))
            found: list[Trade] = []
            while len(found) < 37:
                event = await anext(feed)
                assert not isinstance(event, Gap)
                if isinstance(event, Trade):
                    found.append(event)
        assert [int(one.price) for one in found] == [*range(3, 40)]


@pytest.mark.skipif(os.name == "nt", reason="a folder with open files cannot be moved there")
async def test_a_database_that_is_made_anew_knows_how_publishers_stand_now(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with desk_in(data) as desk:
        await desk.data(packed(a_trade(1, price="7.5"), a_trade(2, "GOLD", price="7.5")))
        await durable(desk, 2)
    async with desk_in(data) as desk:
        await desk.data(packed(a_trade(3, price="8.5")))
        await durable(desk, 3)
        data.rename(tmp_path / "elsewhere")
        data.mkdir()
        await desk.data(packed(a_trade(1, "ETHUSDT"), a_trade(2, "ETHUSDT")), publisher="other")
        async with asyncio.timeout(PATIENCE):
            while (await desk.standing("other"))["durable"] < 2:
                pass
    async with desk_in(data) as desk:
        stands = await desk.standing()
        assert (stands["seq"], stands["durable"]) == (3, 3)
        shown = await lasts(desk.served.url, "/trade-tick", "BTCUSDT", "GOLD", "ETHUSDT")
        assert {code: one["price"] for code, one in shown.items()} == {
            "BTCUSDT": "8.50",
            "GOLD": "7.50",
            "ETHUSDT": "100.50",
        }
