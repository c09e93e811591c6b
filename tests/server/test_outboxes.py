"""Clients that cannot keep up and are spared: what they get, what they are told, and what that may cost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

import tickwire
from tickwire import wire
from tickwire.machine import Network, Writer
from tickwire.machine.network import NOTSENT_LOWAT, UNSENT
from tickwire.model import Book, Kind, Trade
from tickwire.server import shell

from ..serving import (
    DEPTH,
    PATIENCE,
    TRADE,
    Raw,
    Script,
    Served,
    book,
    masked,
    serving,
    trade,
    until,
    upgrade,
)

BOUND = 256 * 1024
BATCH = 200
RECEIVE_BUFFER = 4096
TRADE_PUSH, DEPTH_PUSH, SPARED = 22998, 22999, 28995
TURNOVERS = {"100.00": "50.00", "90.00": "45.00", "110.00": "55.00"}
"""Of half a unit, by price."""

LOOPS: dict[str, dict[str, Any]] = {
    "asyncio": {},
    "uvloop": {},
    "uvloop and TLS": {"tls_self_signed": ["127.0.0.1"]},
}


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Callable[..., Awaitable[None]]], None]:
    """Runs a scenario on each event loop, whose transports buffer differently, and with TLS: with the
    settings for that."""
    factory = None
    if request.param != "asyncio":
        if sys.platform == "win32":
            pytest.skip("there is no uvloop on Windows")
        import uvloop

        factory = uvloop.new_event_loop

    def run_scenario(scenario: Callable[..., Awaitable[None]]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(120):
                await scenario(**LOOPS[request.param])

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(bounded())

    return run_scenario


@pytest.fixture(autouse=True)
def _no_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here sends any, and a busy machine takes its time."""
    monkeypatch.setattr(wire.session, "HEARTBEAT_TIMEOUT", 3600)


class Narrow(Network):
    """The system takes little of what a client does not read."""

    def writer(self, transport: asyncio.Transport) -> Writer:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)
        return super().writer(transport)


@contextlib.asynccontextmanager
async def narrow(folder: Path, market: Market, **settings: Any) -> AsyncIterator[Served]:
    async with serving(folder, market.script, network=Narrow(), **settings) as served:
        yield served


class Market:
    """A script of trades and books of BTCUSDT, and how many it has emitted."""

    def __init__(self) -> None:
        self.script = Script()
        self.trades = self.books = 0

    def emit(self, trades: int = 0, books: int = 0) -> None:
        """Trades of half a unit at 100, 90, 110 in turn; books with their number as time."""
        events: list[Trade | Book] = []
        for _ in range(trades):
            events.append(trade(price=("100", "90", "110")[self.trades % 3], volume="0.5"))
            self.trades += 1
        for _ in range(books):
            self.books += 1
            events.append(book(at=1788529064027 + self.books))
        self.script.emit(*events)


@contextlib.asynccontextmanager
async def reading(served: Served, flags: str, *more: tuple[int, Any]) -> AsyncIterator[Raw]:
    """A client that wants trades and books of BTCUSDT, and reads only when told."""
    asked = upgrade(query=f"?token=t{flags}")
    async with served.raw(asked, receive_buffer=RECEIVE_BUFFER) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")
        requests = [(TRADE, ["BTCUSDT"]), (DEPTH, ["BTCUSDT"]), *more]
        for command, symbols in requests:
            text = msgspec.json.encode({"cmd_id": command, "data": {"symbol_list": symbols}})
            await raw.send(masked(1, text))
            while b'"ret"' not in (frame := (await raw.frame())[1]):
                pass
            assert b'"ret":200' in frame
        yield raw


async def flood(market: Market, quick: Raw, until: Callable[[], bool]) -> None:
    """Emits batches, each once `quick` has read the one before, until it is so."""
    for _ in range(2000):
        if until():
            return
        market.emit(BATCH // 2, BATCH // 2)
        for _ in range(BATCH):
            assert (await quick.frame())[0] == 1
    raise AssertionError("it never came to that")


def spared(served: Served) -> int:
    """How many clients have an outbox that holds back what comes."""
    return sum(one._has_outbox for one in served.server._websockets.alive)


def held(served: Served) -> int:
    """The most that waits for any client."""
    return max(one.held for one in served.server._websockets.alive)


class Received:
    """What a client has read."""

    def __init__(self) -> None:
        self.trades: list[dict[str, Any]] = []
        self.books: list[dict[str, Any]] = []
        self.spared: Counter[str] = Counter()
        self.closed: tuple[int, str] | None = None

    @property
    def number(self) -> int:
        """How many trades it knows of."""
        return sum(one.get("trades", 1) for one in self.trades)

    async def read(self, raw: Raw, until: Callable[[], bool]) -> None:
        """Reads until it is so, or until the server closes."""
        while not until():
            opcode, payload = await raw.frame()
            assert opcode != -1
            if opcode == 8:
                self.closed = int.from_bytes(payload[:2], "big"), payload[2:].decode()
                return
            push = msgspec.json.decode(payload)
            if "ret" in push:
                continue
            data = push["data"]
            if push["cmd_id"] == TRADE_PUSH:
                self.trades.append(data)
            elif push["cmd_id"] == DEPTH_PUSH:
                self.books.append(data)
            elif push["cmd_id"] == SPARED:
                self.spared[data["kind"]] += data["dropped"]
                assert data["codes"] == ["BTCUSDT"]

    def check_order(self) -> None:
        for found in (self.trades, self.books):
            seqs = [one["seq"] for one in found]
            assert seqs == sorted({*seqs})


def test_conflate_loses_no_volume_and_holds_little(tmp_path: Path, run: Callable[..., None]) -> None:
    async def scenario(**settings: Any) -> None:
        market, found = Market(), Received()
        async with (
            narrow(tmp_path, market, client_buffer=BOUND, **settings) as served,
            reading(served, "&slow=conflate") as slow,
            reading(served, "") as quick,
        ):
            await flood(market, quick, lambda: spared(served) > 0)
            much = market.trades + 6 * BOUND // 150
            peak = 0

            def enough() -> bool:
                nonlocal peak
                peak = max(peak, held(served))
                return market.trades > much

            await flood(market, quick, enough)
            assert peak < BOUND + BATCH * 1024  # one flush, and what it needs to know

            def thinned() -> int:
                return sum(one["trades"] for one in found.trades if "trades" in one)

            await found.read(
                slow,
                lambda: (
                    found.number == market.trades
                    and found.spared["trade"] == thinned()
                    and found.spared["depth"] == market.books - len(found.books)
                ),
            )
            found.check_order()
            assert thinned() > market.trades // 2
            assert found.books[-1]["tick_time"] == 1788529064027 + market.books
            assert sum(Decimal(one["volume"]) for one in found.trades) == market.trades * Decimal("0.5")
            third, rest = divmod(market.trades, 3)
            expected = third * Decimal(150) + (0, 50, 95)[rest]
            assert sum(Decimal(one["turnover"]) for one in found.trades) == expected
            seq = found.trades[0]["seq"] - 1
            for one in found.trades:
                assert one.get("first_seq", one["seq"]) == seq + 1
                seq = one["seq"]
                if one.get("trades", 1) >= 3:
                    assert (one["high_price"], one["low_price"]) == ("110.00", "90.00")
                    assert one["open_price"] in TURNOVERS
            await until(lambda: not spared(served))
            market.emit(1)
            await found.read(slow, lambda: found.number == market.trades)
            assert "trades" not in found.trades[-1]

    run(scenario)


def test_drop_leaves_out_the_oldest_and_says_how_many(tmp_path: Path, run: Callable[..., None]) -> None:
    async def scenario(**settings: Any) -> None:
        market, found = Market(), Received()
        async with (
            narrow(tmp_path, market, client_buffer=BOUND, **settings) as served,
            reading(served, "&slow=drop") as slow,
            reading(served, "") as quick,
        ):
            dropped = served.engine.gateway.hub.outboxes.dropped
            await flood(market, quick, lambda: dropped[Kind.TRADE] > 1000)
            assert held(served) <= BOUND + BATCH * 1024
            await found.read(
                slow,
                lambda: (
                    found.spared["trade"] == market.trades - len(found.trades)
                    and found.spared["depth"] == market.books - len(found.books)
                    and found.spared["trade"] > 0
                ),
            )
            found.check_order()
            assert found.spared["trade"] == dropped[Kind.TRADE]
            assert found.trades[-1]["seq"] - found.trades[0]["seq"] == market.trades - 1
            holes = sum(
                following["seq"] - one["seq"] > 1
                for one, following in zip(found.trades, found.trades[1:], strict=False)
            )
            assert holes == 1  # the oldest of what waited

    run(scenario)


@pytest.mark.skipif(NOTSENT_LOWAT is None, reason="this system cannot be told")
@pytest.mark.parametrize("tls", [[], ["127.0.0.1"]], ids=["plain", "tls"])
async def test_the_system_keeps_little_for_who_conflates(tmp_path: Path, tls: list[str]) -> None:
    assert NOTSENT_LOWAT is not None
    kept = []
    async with serving(tmp_path, Script(), tls_self_signed=tls) as served:
        for asked in ("t&slow=conflate", "t&slow=drop", "t"):
            async with served.link(token=asked):
                (one,) = served.server._websockets.alive
                plain = one.transport.get_extra_info("socket")
                kept.append(plain.getsockopt(socket.IPPROTO_TCP, NOTSENT_LOWAT))
            await until(lambda: not served.server._websockets.alive)
    assert kept[0] == UNSENT
    assert UNSENT not in kept[1:]


@pytest.mark.parametrize("flags", ["", "&slow=conflate", "&slow=drop"])
async def test_a_server_that_stops_gives_what_it_kept_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str
) -> None:
    monkeypatch.setattr(shell, "LINGER", PATIENCE)  # in which a busy machine reads what was said last
    market, found = Market(), Received()
    async with (
        narrow(tmp_path, market, slow="conflate") as served,
        reading(served, flags) as slow,
        reading(served, "&slow=close") as quick,
    ):
        await flood(market, quick, lambda: spared(served) > 0)
        much = market.trades + 2000
        await flood(market, quick, lambda: market.trades > much)
        stopping = asyncio.create_task(served.server._websockets.send_away(0, lambda: True))
        await found.read(slow, lambda: False)
        assert found.closed == (1001, "server shutdown")
        assert found.number == market.trades
        assert found.books[-1]["tick_time"] == 1788529064027 + market.books
        found.check_order()
        thinned = sum(one["trades"] for one in found.trades if "trades" in one)
        assert (thinned > 0) == (flags == "&slow=conflate")
        if thinned:
            assert found.spared == {"trade": thinned, "depth": market.books - len(found.books)}
        await stopping


async def test_a_plain_client_of_a_server_that_conflates_gets_all_trades(tmp_path: Path) -> None:
    market, found = Market(), Received()
    async with (
        narrow(tmp_path, market, client_buffer=BOUND, slow="conflate") as served,
        reading(served, "") as slow,
        reading(served, "&slow=close") as quick,
    ):
        await flood(market, quick, lambda: spared(served) > 0)
        for _ in range(10):
            market.emit(0, BATCH)
            for _ in range(BATCH):
                assert (await quick.frame())[0] == 1
        assert held(served) < BOUND + 2**17
        market.emit(3)
        last = 1788529064027 + market.books
        await found.read(
            slow,
            lambda: (
                found.number == market.trades and found.books != [] and found.books[-1]["tick_time"] == last
            ),
        )
        found.check_order()
        assert len(found.trades) == market.trades
        assert len(found.books) < market.books - 1000
        assert not found.spared
        await until(lambda: not spared(served))
        # And it is closed when its trades pass the bound.
        alive = served.server._websockets.alive
        await flood(market, quick, lambda: any(one.is_ending for one in alive))
        await found.read(slow, lambda: False)
        assert found.closed == (1008, f"too slow: over {BOUND} bytes unread")


async def test_a_request_of_ours_makes_a_client_one_that_knows(tmp_path: Path) -> None:
    """A server that conflates tells it what it was spared, and the SDK its user."""
    market = Market()
    async with (
        narrow(tmp_path, market, slow="conflate", client_buffer=BOUND) as served,
        tickwire.connect(served.url, token="t", buffer=10, overflow="wait") as feed,
        reading(served, "&slow=close") as quick,
    ):
        await feed.subscribe(trades=["BTCUSDT"], klines=[("BTCUSDT", "1m")])
        members = served.engine.gateway.hub._members
        await until(lambda: sum(len(one.views) for one in members.values()) == 4)
        await flood(market, quick, lambda: spared(served) > 0)
        much = market.trades + 1000
        await flood(market, quick, lambda: market.trades > much)
        conflated = served.engine.gateway.hub.outboxes.conflated  # of this client alone
        volume, dropped = Decimal(0), 0
        async with asyncio.timeout(120):
            async for event in feed:
                if isinstance(event, tickwire.Trade):
                    volume += event.volume
                elif isinstance(event, tickwire.Spared) and event.kind is Kind.TRADE:
                    dropped += event.dropped
                    assert event.codes == ("BTCUSDT",)
                if volume == market.trades * Decimal("0.5") and 0 < dropped == conflated[Kind.TRADE]:
                    break


async def test_what_is_unread_in_all_is_bounded(tmp_path: Path) -> None:
    """The worst go first; the others stay, and one line says so."""
    market = Market()
    together = 2 * 2**20
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(
            narrow(tmp_path, market, unread_bytes=together, client_buffer=2**30)
        )
        slow = [await stack.enter_async_context(reading(served, "")) for _ in range(6)]
        quick = await stack.enter_async_context(reading(served, ""))
        unread = served.server._websockets.unread
        most = 0

        def cut() -> bool:
            nonlocal most
            most = max(most, sum(unread.held()))
            return bool(unread.closed)

        with capture_logs() as logged:
            await flood(market, quick, cut)
        assert most < together + len(slow) * BATCH * 1024
        assert sum(unread.held()) <= together
        event = "clients are cut off that read too slowly: too much is unread in all"
        (line,) = [one for one in logged if one["event"] == event]
        assert line["limit"] == together
        assert line["clients"] == unread.closed["unread_bytes"] < len(slow)
        assert len(served.engine.gateway.callers) == len(slow) + 1 - line["clients"]
        market.emit(1)
        assert (await quick.frame())[0] == 1
        told = (await served.get("/metrics", token=None)).text.splitlines()
        assert f'tickwire_slow_clients_closed_total{{reason="unread_bytes"}} {line["clients"]:.1f}' in told
        assert f'tickwire_websocket_closes_total{{code="1006",reason="slow"}} {line["clients"]:.1f}' in told
        (limit,) = [one for one in told if one.startswith("tickwire_outbox_bytes_limit")]
        assert float(limit.split()[1]) == together


async def test_who_is_spared_must_read_too(tmp_path: Path) -> None:
    market = Market()
    async with (
        narrow(tmp_path, market, unread_timeout=1) as served,
        reading(served, "&slow=conflate") as slow,
        reading(served, "") as quick,
    ):
        await flood(market, quick, lambda: spared(served) > 0)
        unread = served.server._websockets.unread
        while not unread.closed:
            await slow.send(masked(1, b'{"cmd_id":22000}'))
            await asyncio.sleep(0.05)
        assert await slow.closing() == (1008, "too slow: hardly anything read in 1 s")
        assert not spared(served)


@pytest.mark.parametrize(
    ("query", "msg"),
    [
        ("?token=t&slow=later", "slow is none of close, conflate, drop"),
        ("?slow=&token=t", "slow is none of close, conflate, drop"),
        ("?token=t&slow=CLOSE&slow=close", "slow is none of close, conflate, drop"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_flag_that_there_is_not_is_refused(plain: Served, query: str, msg: str) -> None:
    async with plain.raw(upgrade(query=query)) as raw:
        head = await raw.head()
        assert head.startswith(b"http/1.1 400 ")
        assert b"content-type: application/json\r\n" in head
        assert msgspec.json.decode(await raw.rest()) == {"msg": msg, "trace": "", "ret": 400}


@pytest.mark.parametrize(
    "query", ["?token=t&slow=drop&slow=x&fast=1", "?token=t&slower=x&slow=conflat%65", "?token=t"]
)
@pytest.mark.asyncio(loop_scope="module")
async def test_names_that_are_no_flags_are_passed_over(plain: Served, query: str) -> None:
    async with plain.raw(upgrade(query=query)) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")
