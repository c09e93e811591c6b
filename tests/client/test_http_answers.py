"""What is made of HTTP servers that answer what they like."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tickwire.client import (
    ClientError,
    Http,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreadable,
)
from tickwire.model import Family, KlineType, SuspensionList
from tickwire.wire import Pushed
from tickwire.wire.overview import GapList

from .bench import bare

MINUTE = KlineType.MINUTE


async def answered(body: bytes, status: str = "200 OK", method: str = "trades", **how: Any) -> Any:
    """What a method makes of that answer."""

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async with bare(act) as url, Http(url.removesuffix("/quote-b-ws-api"), "t", **how) as http:
        if method == "suspensions":
            return await http.suspensions(SuspensionList.NASDAQ)
        if method == "klines":
            return await http.klines(Family.OTHER, "GOLD", MINUTE), http.bad
        if method == "latest":
            return await http.latest_klines(Family.OTHER, [("GOLD", MINUTE)]), http.bad
        if method == "gaps":
            return (await http.extension("gaps", GapList)).gap_list
        if method == "instruments":
            return await http.instruments(["GOLD"])
        if method == "static":
            return await http.static_info(["X"]), http.bad
        return await http.trades(Family.OTHER, ["GOLD"]), http.bad


def success(data: object) -> bytes:
    return json.dumps({"ret": 200, "msg": "ok", "trace": "", "data": data}).encode()


TICK = {"code": "GOLD", "seq": "7", "tick_time": "1788529024862", "price": "4409.64", "volume": "10.00"}
BAR = {
    "timestamp": "1788529080",
    "open_price": "1",
    "close_price": "2",
    "high_price": "3",
    "low_price": "0.5",
    "volume": "4",
    "turnover": "5",
}


GAP = {
    "source": "alltick",
    "market": "crypto",
    "codes": ["BTCUSDT"],
    "begin": 1795364866865,
    "end": None,
    "reason": "connection lost",
    "filled": None,
}


async def test_what_can_be_read_of_an_answer_is_and_the_rest_is_counted() -> None:
    ticks: list[object] = [
        TICK,
        None,
        TICK | {"volume": "-1"},
        TICK | {"volume": 3, "turnover": None},
        [],
        {"code": "GOLD"},
    ]
    found, bad = await answered(success({"tick_list": ticks}))
    assert [type(one) for one in found] == [Pushed, Pushed]
    assert (found[1].event.volume, bad) == (Decimal(3), 4)


async def test_bars_that_cannot_be_are_left_out() -> None:
    rows = [BAR, BAR | {"timestamp": 0}, BAR | {"volume": None}, "bar", BAR | {"timestamp": 1788529140}]
    found, bad = await answered(success({"kline_list": rows}), method="klines")
    assert ([bar.time for bar in found], bad) == ([1788529080, 1788529140], 3)
    groups = [{"code": "GOLD", "kline_type": "1", "kline_data": [BAR, {}]}, {"code": "X"}, None]
    found, bad = await answered(success({"kline_list": groups}), method="latest")
    assert ([len(bars) for bars in found.values()], bad) == ([1], 3)


async def test_facts_may_be_null_or_numbers() -> None:
    rows = [{"symbol": "X", "lot_size": 100, "eps": 1.5, "board": None}, {"name_en": "no symbol"}, 5]
    found, bad = await answered(success({"static_info_list": rows}), method="static")
    assert [(one.symbol, one.lot_size, one.eps, one.board) for one in found] == [("X", "100", "1.5", "")]
    assert bad == 2


async def test_suspensions_of_the_live_service_are_read() -> None:
    entries = [
        {
            "symbol": "A",
            "haltReason": ["T1", "News"],
            "haltDate": None,
            "publishDate": "2026-09-04",
            "more": 1,
        },
        {"symbol": "B", "haltReason": None, "haltTime": "-", "publishDate": "2026-09-03"},
        {"symbol": "C"},
    ]
    body = json.dumps({"success": True, "timestamp": "x", "totalCount": 3, "data": entries}).encode()
    found = await answered(body, method="suspensions")
    assert [(one.symbol, one.reason) for one in found.entries] == [("A", "T1; News"), ("B", None)]
    assert found.total == 3


async def test_gaps_have_times() -> None:
    (found,) = await answered(success({"gap_list": [GAP]}), method="gaps")
    assert found.begin == datetime(2026, 11, 22, 16, 27, 46, 865000, UTC)
    assert (found.end, found.filled) == (None, None)


@pytest.mark.parametrize("data", [None, [], {}, {"gap_list": None}, {"gap_list": [1]}, {"gap_list": [{}]}])
async def test_an_answer_that_makes_no_sense_is_unreadable(data: object) -> None:
    with pytest.raises(Unreadable):
        await answered(success(data), method="gaps")


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"", "200 OK", Unreadable),
        (b"<html>welcome</html>", "200 OK", Unreadable),
        (b"[1]", "200 OK", Unreadable),
        (b"[" * 100_000, "200 OK", Unreadable),
        (b'{"ret":"no number"}', "200 OK", Unreadable),
        (success(None), "200 OK", Unreadable),
        (success({"tick_list": {}}), "200 OK", Unreadable),
        (b"moved", "302 Found", Unreadable),
        (b"not found", "404 Not Found", Unreadable),
        (b"<html>", "502 Bad Gateway", Unavailable),
        (b"<html>", "401 Unauthorized", Unauthorized),
        (b'{"error_msg":"Too many requests"}', "429 Too Many Requests", TooManyRequests),
        (b"slow down", "429 Too Many Requests", TooManyRequests),
    ],
)
async def test_what_is_no_answer_is_an_error(body: bytes, status: str, kind: type[ClientError]) -> None:
    with pytest.raises(ClientError) as found:
        await answered(body, status)
    assert type(found.value) is kind
    assert found.value.status == int(status[:3])


async def test_a_list_of_suspensions_says_itself_that_it_failed() -> None:
    with pytest.raises(Unavailable, match="server broke"):
        await answered(b'{"success":false,"error":"server broke"}', method="suspensions")


async def test_nobody_there_and_nobody_answering_are_errors() -> None:
    async with Http("http://127.0.0.1:1", "t") as http:
        with pytest.raises(Unavailable):
            await http.trades(Family.OTHER, ["GOLD"])

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await asyncio.sleep(0.01)

    for act in (silent, drip):
        async with bare(act) as url, Http(url.removesuffix("/quote-b-ws-api"), "t", timeout=0.1) as http:
            with pytest.raises(Unavailable, match=r"no answer in 0\.1 s"):
                await http.trades(Family.OTHER, ["GOLD"])


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.client.http.MOST_BYTES", 100_000)
    with pytest.raises(Unreadable, match="more than 100000 bytes"):
        await answered(b" " * 200_000)


@pytest.mark.parametrize("following", [None, 5, "GOLD"])
async def test_a_list_of_instruments_is_read_whatever_its_next_page_is(following: object) -> None:
    listed = {"instrument_list": [], "next": following}
    assert await answered(success(listed), method="instruments") == ([], True)
