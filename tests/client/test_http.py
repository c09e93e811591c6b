"""The HTTP API, asked of a real server and of servers that answer what they like."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire.client import (
    ClientError,
    Http,
    Pacer,
    Rates,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from tickwire.model import Book, Family, Kline, KlineType, Level, Suspension, SuspensionList, Trade

from ..serving import Script, Served, book, serving, trade, until
from .bench import Hand
from .heard import begin, taken

MINUTE, DAY = KlineType.MINUTE, KlineType.DAY
T0 = 1788529020
"""A minute's begin."""


# A real server.
async def test_last_trades_and_books(served: Served, script: Script) -> None:
    script.emit(trade(), trade("GOLD", "4415.32", "8"), book(levels=1), trade("700.HK", "442.8", "100"))
    await taken(served, 4)
    async with Http(served.url, "t") as http:
        first, second = await http.trades(Family.OTHER, ["BTCUSDT", "GOLD", "NOSUCH"])
        assert isinstance(second.event, Trade)
        assert (first.event.code, second.event.price, second.event.turnover) == (
            "BTCUSDT",
            Decimal("4415.32"),
            Decimal("35322.56"),
        )
        assert second.event.source_seq == second.seq > 0
        (found,) = await http.books(Family.OTHER, ["BTCUSDT"])
        assert isinstance(found.event, Book)
        assert found.event.bids == (Level(Decimal(100), Decimal(1)),)
        (stock,) = await http.trades(Family.STOCK, ["700.HK"])
        assert stock.event.code == "700.HK"
        assert http.bad == 0


async def test_bars(served: Served, script: Script) -> None:
    script.emit(*(trade("GOLD", str(4400 + n), "1", (T0 + 60 * n) * 1000) for n in range(5)))
    await taken(served, 5)
    async with Http(served.url, "t") as http:
        bars = await http.klines(Family.OTHER, "GOLD", MINUTE, count=3)
        assert [bar.time for bar in bars] == [T0 + 120, T0 + 180, T0 + 240]
        price = Decimal("4404.00")
        assert bars[-1] == Kline("GOLD", MINUTE, T0 + 240, price, price, price, price, Decimal(1), price)
        earlier = await http.klines(Family.OTHER, "GOLD", MINUTE, count=2, end=T0 + 60)
        assert [bar.time for bar in earlier] == [T0, T0 + 60]
        latest = await http.latest_klines(Family.OTHER, [("GOLD", MINUTE), ("GOLD", DAY)])
        assert [len(latest["GOLD", kline_type]) for kline_type in (MINUTE, DAY)] == [2, 1]


async def test_static_info_and_suspensions(served: Served, script: Script) -> None:
    halt = Suspension(
        exchange=SuspensionList.NYSE, symbol="IBM", halt_reason=("news",), publish_date="2026-09-04"
    )
    served.engine.market.suspensions.add(script.name, [halt])
    async with Http(served.url, "t") as http:
        (info,) = await http.static_info(["AAPL.US"])
        assert (info.symbol, info.currency) == ("AAPL.US", "USD")
        found = await http.suspensions(SuspensionList.NYSE)
        assert (found.total, found.entries[0].symbol, found.entries[0].reason) == (1, "IBM", "news")
        page = await http.suspensions(SuspensionList.NYSE, page=2, size=1)
        assert (page.total, page.entries) == (1, [])
        with pytest.raises(RequestRefused) as refused:
            await http.suspensions(SuspensionList.NYSE, page=0)
        assert refused.value.status == 400


@pytest.mark.parametrize(
    ("answer", "kind", "retryable"),
    [
        ({"ret": 600}, RequestRefused, False),
        ({"ret": 604}, RequestRefused, False),
        ({"ret": 402}, RequestRefused, False),
        ({"ret": 401}, Unauthorized, False),
        ({"ret": 429}, TooManyRequests, True),
        ({"ret": 605}, TooManyRequests, True),
        ({"ret": 500}, Unavailable, True),
        ({"ret": 603, "status": 503}, Unavailable, True),
    ],
)
async def test_errors_are_one_tree(
    served: Served, answer: dict[str, int], kind: type[ClientError], retryable: bool
) -> None:
    begin(served, {"do": "answer", "msg": "as you like", **answer})
    async with Http(served.url, "s3cret") as http:
        with pytest.raises(ClientError, match=r"^/trade-tick of GOLD: ") as found:
            await http.trades(Family.OTHER, ["GOLD"])
        assert type(found.value) is kind
        assert found.value.retryable is retryable
        assert found.value.msg == "as you like"
        assert found.value.ret == answer["ret"]
        assert "s3cret" not in str(found.value)


class Counted(Pacer):
    """Counts what it lets pass."""

    passed = 0

    @asynccontextmanager
    async def request(self, endpoint: str) -> AsyncIterator[Callable[[], None]]:
        async with super().request(endpoint) as left:
            self.passed += 1
            yield left


async def test_requests_keep_to_the_plan_without_one_refusal(tmp_path: Path, script: Script) -> None:
    """On a clock that the test moves, for the server too."""
    hand = Hand()
    pacer = Counted(Rates(endpoint=(1, 1), batch_kline=(1, 3), suspension=(1, 60), http=(60, 60)), hand)
    async with (
        serving(tmp_path, script, plan="basic", clock=hand.time) as served,
        Http(served.url, "t", pacer=pacer) as http,
    ):
        script.emit(trade("GOLD"))
        await taken(served, 1)
        wanted: list[Coroutine[Any, Any, object]] = [http.trades(Family.OTHER, ["GOLD"]) for _ in range(5)]
        wanted += [http.latest_klines(Family.OTHER, [("GOLD", MINUTE)]) for _ in range(3)]
        wanted += [http.suspensions(SuspensionList.SSE) for _ in range(2)]
        began = hand.now
        asking = [asyncio.create_task(one) for one in wanted]
        while not all(task.done() for task in asking):
            await until(lambda: pacer.passed and sum(task.done() for task in asking) == pacer.passed)
            if pacer.passed < len(asking):
                await hand.ordered()
                hand.move(hand.next - hand.now)
                passed = pacer.passed
                await until(lambda: pacer.passed > passed or hand.next < hand.now + 1e-6)  # noqa: B023
        assert [task.exception() for task in asking] == [None] * 10
        assert 60 <= hand.now - began < 61


async def test_a_request_that_came_too_fast_holds_back_the_next(tmp_path: Path, script: Script) -> None:
    hand = Hand()
    async with (
        serving(tmp_path, script, plan="free") as served,
        Http(served.url, "t", pacer=Pacer(clock=hand)) as http,
    ):
        with pytest.raises(RequestRefused):
            await http.trades(Family.OTHER, ["NOSUCH"])
        with pytest.raises(TooManyRequests) as refused:
            await http.trades(Family.OTHER, ["GOLD"])
        assert refused.value.retry_after == pytest.approx(10, abs=1)
        held = asyncio.create_task(http.trades(Family.OTHER, ["GOLD"]))
        await until(lambda: hand.next < float("inf"))
        assert hand.next - hand.now == refused.value.retry_after
        held.cancel()


async def test_no_token_stands_in_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with Http(served.url, "s3cret/&") as http:
            with pytest.raises(RequestRefused):
                await http.trades(Family.OTHER, ["NOSUCH"])
    (said,) = [one.getMessage() for one in caplog.records if one.name == "httpx"]
    assert "/trade-tick?token=…&query=" in said


async def test_a_token_may_be_the_one_of_the_moment(served: Served) -> None:
    heard: list[str] = []
    tokens = iter(["one", "two"])

    def token() -> str:
        heard.append(next(tokens))
        return heard[-1]

    async with Http(served.url, token) as http:
        for _ in range(2):
            with pytest.raises(RequestRefused):
                await http.trades(Family.OTHER, ["NOSUCH"])
    assert heard == ["one", "two"]
