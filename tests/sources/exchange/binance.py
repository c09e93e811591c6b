"""A stand-in for the public interface of Binance spot, on 127.0.0.1: REST and WebSocket on one port.

It speaks as binance/binance-spot-api-docs describes (rest-api.md, web-socket-streams.md): market data
endpoints, live subscriptions with ids, trade and diff-depth streams with first and final update ids, pings.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

Row = tuple[str, str]
"""A level of a book: price and quantity as text."""


def rows(levels: Iterable[Row]) -> list[list[str]]:
    return [[price, quantity] for price, quantity in levels]


class Pair:
    """A symbol: its book by price, the number of the last update, its trades."""

    def __init__(self, base: str, quote: str, tick: str = "0.01000000", step: str = "0.00001000") -> None:
        self.name = base + quote
        self.info = {
            "symbol": self.name,
            "status": "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "icebergAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": tick,
                    "maxPrice": "1000000.00000000",
                    "tickSize": tick,
                },
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
            ],
            "permissions": ["SPOT"],
        }
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.update = 1000
        self.trades: list[dict[str, Any]] = []
        self.bars: dict[str, list[list[Any]]] = {}

    def depth(self, limit: int) -> dict[str, Any]:
        bids = sorted(self.bids.items(), key=lambda row: -Decimal(row[0]))
        asks = sorted(self.asks.items(), key=lambda row: Decimal(row[0]))
        return {"lastUpdateId": self.update, "bids": rows(bids[:limit]), "asks": rows(asks[:limit])}

    def change(self, bids: Iterable[Row], asks: Iterable[Row]) -> None:
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in changes:
                side[price] = quantity
                if not Decimal(quantity):
                    del side[price]


class Binance:
    """The exchange. `now` is its clock, in milliseconds since the epoch."""

    def __init__(self, now: Callable[[], int]) -> None:
        self.now = now
        self.pairs = {pair.name: pair for pair in (Pair("BTC", "USDT"), Pair("ETH", "USDT"))}
        self.refuse = False
        """Answers 503 to everything, also to upgrades."""
        self.mute = False
        """Says nothing on its streams, but goes on trading."""
        self.slow = 0.0
        """Seconds before it answers over REST."""
        self.bad_bars: list[Any] = []
        """Bars that it answers in place of its own."""
        self.requests: list[str] = []
        self.said: list[dict[str, Any]] = []
        """What clients said over WebSocket."""
        self.pongs = 0
        self.port = 0
        self._streams: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
        self._sockets: set[web.WebSocketResponse] = set()
        self._numbers = itertools.count(500)
        self._changed = asyncio.Event()

    @property
    def options(self) -> dict[str, Any]:
        """What ccxt is told so that it comes here."""
        host = f"127.0.0.1:{self.port}"
        api = {"public": f"http://{host}/api/v3", "ws": {"spot": f"ws://{host}/ws"}}
        return {"urls": {"api": api}, "rateLimit": 1, "timeout_on_exit": 20}

    # What happens there.
    async def trade(
        self, symbol: str, price: str, quantity: str, *, sell: bool = False, **other: Any
    ) -> dict[str, Any]:
        """A trade; `other` replaces fields of the message."""
        now = self.now()
        message = {
            "e": "trade",
            "E": now,
            "s": symbol,
            "t": next(self._numbers),
            "p": price,
            "q": quantity,
            "T": now,
            "m": sell,  # whether the buyer is the maker
            "M": True,
        } | other
        self.pairs[symbol].trades.append(message)
        await self.send(symbol, "trade", message)
        return message

    async def delta(self, symbol: str, bids: Iterable[Row] = (), asks: Iterable[Row] = ()) -> None:
        """A change of the book."""
        pair, bids, asks = self.pairs[symbol], [*bids], [*asks]
        pair.change(bids, asks)
        first, pair.update = pair.update + 1, pair.update + len(bids) + len(asks)
        message = {"e": "depthUpdate", "E": self.now(), "s": symbol, "U": first, "u": pair.update}
        await self.send(symbol, "depth@100ms", message | {"b": rows(bids), "a": rows(asks)})

    def gap(self, symbol: str, bids: Iterable[Row] = (), asks: Iterable[Row] = ()) -> None:
        """A change of the book whose message gets lost."""
        self.pairs[symbol].change(bids, asks)
        self.pairs[symbol].update += 3

    async def send(self, symbol: str, stream: str, message: Any) -> None:
        """A message to all that are subscribed to a stream; text goes as it is."""
        text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
        if not self.mute:
            for socket in [*self._streams[f"{symbol.lower()}@{stream}"]]:
                await socket.send_str(text)

    async def ping(self) -> None:
        """A ping to all, as every 20 seconds."""
        for socket in self._sockets:
            await socket.ping(str(self.now()).encode())

    def disconnect(self) -> None:
        """Every WebSocket connection breaks off."""
        for socket in [*self._sockets]:
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until something is so."""
        async with asyncio.timeout(120):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def subscribed(self, *streams: str) -> None:
        """Waits until somebody is subscribed to each."""
        await self.until(lambda: all(self._streams.get(one) for one in streams))

    def subscribers(self, stream: str) -> int:
        return len(self._streams.get(stream, ()))

    # How it is asked.
    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._gate])
        app.router.add_get("/api/v3/exchangeInfo", self._exchange_info)
        app.router.add_get("/api/v3/depth", self._depth)
        app.router.add_get("/api/v3/aggTrades", self._agg_trades)
        app.router.add_get("/api/v3/klines", self._klines)
        app.router.add_get("/ws/{number}", self._socket)
        return app

    @web.middleware
    async def _gate(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        self._changed.set()
        if self.refuse:
            return web.json_response({"code": 0, "msg": "Service unavailable"}, status=503)
        if self.slow and not request.path.startswith("/ws/"):
            await asyncio.sleep(self.slow)
        if "symbol" in request.query and request.query["symbol"] not in self.pairs:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        return await handler(request)

    async def _exchange_info(self, _: web.Request) -> web.Response:
        symbols = [pair.info for pair in self.pairs.values()]
        document = {"timezone": "UTC", "serverTime": self.now(), "exchangeFilters": [], "symbols": symbols}
        return web.json_response(document | {"rateLimits": []})

    async def _depth(self, request: web.Request) -> web.Response:
        return web.json_response(self._pair(request).depth(int(request.query.get("limit", 100))))

    async def _agg_trades(self, request: web.Request) -> web.Response:
        last = self._pair(request).trades[-int(request.query.get("limit", 500)) :]
        # The numbers of this series are others than those of the stream.
        answer = [
            {"a": place, "f": one["t"], "l": one["t"]} | {name: one[name] for name in "pqTmM"}
            for place, one in enumerate(last)
        ]
        return web.json_response(answer)

    async def _klines(self, request: web.Request) -> web.Response:
        query = request.query
        limit = min(int(query.get("limit", 500)), 1000)
        since, until = int(query.get("startTime", 0)), int(query.get("endTime", 1 << 62))
        if self.bad_bars:
            return web.json_response(self.bad_bars)
        found = [
            row for row in self._pair(request).bars.get(query["interval"], ()) if since <= row[0] <= until
        ]
        return web.json_response(found[:limit] if since else found[-limit:])

    def _pair(self, request: web.Request) -> Pair:
        return self.pairs[request.query["symbol"]]

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, msgspec.json.decode(message.data))
        finally:
            self._sockets.discard(socket)
            for subscribers in self._streams.values():
                subscribers.discard(socket)
            self._changed.set()
        return socket

    async def _answer(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        self.said.append(said)
        for stream in said["params"]:
            if said["method"] == "SUBSCRIBE":
                self._streams[stream].add(socket)
            else:
                self._streams[stream].discard(socket)
        await socket.send_str(msgspec.json.encode({"result": None, "id": said["id"]}).decode())
        self._changed.set()


@asynccontextmanager
async def binance(now: Callable[[], int]) -> AsyncIterator[Binance]:
    """The exchange on a free port, with a book of five levels a side for each pair."""
    venue = Binance(now)
    for pair in venue.pairs.values():
        pair.change(
            [(f"79317.{cents}0", "0.50000000") for cents in range(5)],
            [(f"79318.{cents}0", "0.25000000") for cents in range(5)],
        )
    runner = web.AppRunner(venue.app(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    venue.port = runner.addresses[0][1]
    try:
        yield venue
    finally:
        venue.disconnect()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await runner.cleanup()
