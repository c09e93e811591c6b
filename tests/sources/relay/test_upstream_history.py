"""Bars of an upstream that breaks the rules."""

from __future__ import annotations

import asyncio

import pytest

from tickwire.errors import SourceError
from tickwire.model import Kind, KlineType
from tickwire.sources import Snapshot

from ...client.bench import bare
from ...serving import until
from .bench import CATALOGUE, http_url, relaying, upstream


async def test_a_vendor_that_ignores_the_end_of_stocks_has_no_earlier_bars() -> None:
    bar = dict.fromkeys(("open_price", "close_price", "high_price", "low_price", "volume", "turnover"), "1")
    rows = [bar | {"timestamp": str(at)} for at in (1788529140, 1788529080, 1788529080)]
    async with upstream() as server, relaying(server.url) as consumer:
        server.answer = lambda _path, _codes: (
            200,
            {"ret": 200, "msg": "ok", "trace": "", "data": {"kline_list": rows}},
        )
        history, stock = consumer.relay.history, CATALOGUE["AAPL.US"]
        assert history is not None
        found = await history.klines(stock, KlineType.MINUTE, count=5, end=None)
        assert [one.time for one in found] == [1788529080, 1788529140]
        assert consumer.relay.market_time() > 0
        assert await history.klines(stock, KlineType.MINUTE, count=5, end=1788529079) == []


@pytest.mark.parametrize(
    "raw",
    [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nhalf", b"", b"\x00" * 100_000],
    ids=["garbage", "half", "nothing", "zeros"],
)
async def test_what_is_not_even_http_is_no_answer(raw: bytes) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    async with bare(act) as url, relaying(http_url(url), probe=True) as consumer:
        assert consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
        assert await consumer.take(Snapshot) == [Snapshot(Kind.TRADE, "GOLD", None)]
        history = consumer.relay.history
        assert history is not None
        with pytest.raises(SourceError, match="No bars of GOLD"):
            await history.klines(CATALOGUE["GOLD"], KlineType.MINUTE, count=1, end=None)


async def test_bars_of_a_recording_that_has_not_begun_wait_for_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.market_time.PATIENCE", 0.3)
    async with upstream() as server:
        server.answer = lambda path, _codes: (
            (200, {"simulated": False, "source": "replay:2020"})
            if path == "/readyz"
            else (200, {"ret": 200, "msg": "ok", "trace": "", "data": {"kline_list": []}})
        )
        async with relaying(server.url, probe=True) as consumer:
            await until(lambda: consumer.relay._time.market.replayed)
            history = consumer.relay.history
            assert history is not None
            with pytest.raises(SourceError, match="has not said what its time is"):
                await history.klines(CATALOGUE["GOLD"], KlineType.MINUTE, count=1, end=None)
            assert consumer.relay.market_time() == 0
