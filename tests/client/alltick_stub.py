"""A server that behaves like AllTick's, on real sockets: what the documents and measurements say, no more.

Subscriptions only replace, ids are integers or texts, a frame may hold two messages, there are no extensions
and no rate-limit headers, `kline_timestamp_end` is ignored for stocks, and `seq` is not contiguous.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

STOCK = {"AAPL.US", "700.HK", ".DJI.US"}
OTHER = {"BTCUSDT", "GOLD", "EURUSD"}
TOKEN = "vendor-token"
NEVER_IN_A_SOCKET = ("null", "true", "false")
MINUTE = 60
NOW = 1788529080
"""The open time of the bar that is forming, in seconds."""


class AllTick:
    """The server. `texts` sends ids over WebSocket as texts, `pairs` two messages in a frame."""

    def __init__(self, *, texts: bool = False, pairs: bool = False) -> None:
        self.texts = texts
        self.pairs = pairs
        self.url = ""
        self.token = TOKEN
        self.requests: list[tuple[str, dict[str, Any]]] = []
        """Path and message of all that was asked over WebSocket."""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """Endpoint and data of all that was asked over HTTP."""
        self.refuse_http = 0
        """How many requests over HTTP are answered with 429 from now on."""
        self.bars = 1300
        self.codes = {"stock": {*STOCK}, "other": {*OTHER}}
        self.static: dict[str, dict[str, str | None]] = {}
        """What /static_info answers of stocks, beside their symbol."""
        self._seats: dict[WebSocket, dict[int, list[str]]] = {}
        self._seqs = itertools.count(1788530574453, 7)  # grows, and is not contiguous
        self._last: dict[tuple[int, str], dict[str, Any]] = {}

    # What the market does.
    async def trade(self, code: str, price: str = "4415.32", at: int = 1788529064027) -> None:
        """A trade happens, and is pushed."""
        data = {"price": price, "volume": "8.00", "turnover": "35322.56", "trade_direction": 1}
        await self.push(22998, code, at, data)

    async def book(self, code: str, at: int = 1788529064027) -> None:
        """A book changes, and is pushed."""
        sides = {"bids": [{"price": "4415.30", "volume": "3"}], "asks": [{"price": "0.00", "volume": "0"}]}
        await self.push(22999, code, at, sides)

    async def cut(self) -> None:
        """All connections end."""
        for socket in [*self._seats]:
            await socket.close(1011)

    def count_from(self, seq: int) -> None:
        """It numbers from there on, as one does that was begun anew behind its connections."""
        self._seqs = itertools.count(seq, 7)

    def wanted(self, cmd_id: int) -> set[str]:
        """The codes that some connection has subscribed to with that command."""
        return {code for lists in self._seats.values() for code in lists.get(cmd_id, ())}

    async def push(self, cmd_id: int, code: str, at: int, more: dict[str, Any]) -> None:
        """Something happens, and is pushed."""
        seq: Any = next(self._seqs)
        ids = {"seq": str(seq), "tick_time": str(at)} if self.texts else {"seq": seq, "tick_time": at}
        message = {"cmd_id": cmd_id, "data": {"code": code, **ids, **more}}
        self._last[cmd_id, code] = message
        asked = 22004 if cmd_id == 22998 else 22002
        for socket, lists in [*self._seats.items()]:
            if code in lists.get(asked, ()):
                await self._send(socket, message, *([message] if self.pairs else []))

    async def _send(self, socket: WebSocket, *messages: dict[str, Any]) -> None:
        text = "\n".join(json.dumps(one) for one in messages)
        assert not any(word in text for word in NEVER_IN_A_SOCKET)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(text)

    # WebSocket.
    async def stock_socket(self, socket: WebSocket) -> None:
        await self._serve(socket, self.codes["stock"])

    async def other_socket(self, socket: WebSocket) -> None:
        await self._serve(socket, self.codes["other"])

    async def _serve(self, socket: WebSocket, codes: set[str]) -> None:
        if socket.query_params.get("token") != self.token:
            body = {"msg": "token invalid", "trace": "", "ret": 401}
            await socket.send_denial_response(JSONResponse(body, 401))
            return
        await socket.accept()
        lists = self._seats[socket] = {}
        try:
            while True:
                request = json.loads(await socket.receive_text())
                self.requests.append((socket.url.path, request))
                await self._answer(socket, request, lists, codes)
        except WebSocketDisconnect:
            pass
        finally:
            self._seats.pop(socket, None)

    async def _answer(
        self, socket: WebSocket, request: dict[str, Any], lists: dict[int, list[str]], codes: set[str]
    ) -> None:
        command, ret, msg, fresh = request["cmd_id"], 200, "ok", list[dict[str, Any]]()
        if command in (22002, 22004):
            wanted = [one["code"] for one in request["data"]["symbol_list"]]
            known = [code for code in wanted if code in codes]
            if known:
                push = 22998 if command == 22004 else 22999
                new = [code for code in known if code not in lists.get(command, ())]
                fresh = [self._last[push, code] for code in new if (push, code) in self._last]
                lists[command] = known  # replaces
            else:
                ret, msg = 600, "code invalid"
        elif command == 22006:
            kind = request["data"]["cancel_type"]
            for one in {0: (22002, 22004), 1: (22002,), 2: (22004,)}.get(kind, ()):
                lists.pop(one, None)
        elif command != 22000:
            ret, msg = 400, "request header param invalid"
        head = {"ret": ret, "msg": msg, "cmd_id": command + 1, "seq_id": request["seq_id"]}
        answer = head | {"trace": request["trace"], "data": {}}
        if self.pairs and fresh:  # an answer and a push in one frame
            await self._send(socket, answer, fresh.pop(0))
        else:
            await self._send(socket, answer)
        for message in fresh:
            await self._send(socket, message)

    # HTTP.
    async def get(self, request: Request) -> Response:
        endpoint = request.url.path.rpartition("/")[2]
        if request.query_params.get("token") != self.token:
            return JSONResponse({"msg": "token invalid", "trace": "", "ret": 401}, 401)
        if self.refuse_http:
            self.refuse_http -= 1
            return JSONResponse({"error_msg": "Too many requests"}, 429)
        body = await request.json() if request.method == "POST" else json.loads(request.query_params["query"])
        data = body["data"]
        self.asked.append((endpoint, data))
        codes = self.codes["stock" if "stock" in request.url.path else "other"]
        ticks = {"trade-tick": 22998, "depth-tick": 22999}
        if endpoint in ticks:
            known = [one["code"] for one in data["symbol_list"] if one["code"] in codes]
            if not known:
                return JSONResponse({"ret": 600, "msg": "code invalid", "trace": ""})
            shown = [self._last.get((ticks[endpoint], code)) for code in known]
            answer: dict[str, Any] = {
                "tick_list": [
                    one["data"] | {"seq": str(one["data"]["seq"]), "tick_time": str(one["data"]["tick_time"])}
                    for one in shown
                    if one
                ]
            }
        elif endpoint == "static_info":
            found = [one["code"] for one in data["symbol_list"] if one["code"] in self.static]
            if not found:
                return JSONResponse({"ret": 600, "msg": "code invalid", "trace": ""})
            answer = {"static_info_list": [{"symbol": code} | self.static[code] for code in found]}
        elif endpoint == "kline":
            if data["code"] not in codes:
                return JSONResponse({"ret": 600, "msg": "code invalid", "trace": ""})
            answer = {key: data[key] for key in ("code", "kline_type")} | {"kline_list": self._bars(data)}
        else:
            groups = [
                {key: one[key] for key in ("code", "kline_type")} | {"kline_data": self._bars(one)[-2:]}
                for one in data["data_list"]
            ]
            answer = {"kline_list": groups}
        return JSONResponse({"ret": 200, "msg": "ok", "trace": body["trace"], "data": answer})

    def _bars(self, asked: dict[str, Any]) -> list[dict[str, str]]:
        """Minutes without holes, up to the end that is asked for; of stocks always the latest."""
        end = int(asked["kline_timestamp_end"]) or NOW
        last = NOW if asked["code"] in STOCK else min(end - end % MINUTE, NOW)
        first = max(last - (min(asked["query_kline_num"], 500) - 1) * MINUTE, NOW - (self.bars - 1) * MINUTE)
        prices = dict.fromkeys(("open_price", "close_price", "high_price", "low_price"), "4415.32")
        return [
            {"timestamp": str(time), **prices, "volume": "2.00", "turnover": "8830.64"}
            for time in range(first, last + 1, MINUTE)
        ]


@contextlib.asynccontextmanager
async def alltick(*, texts: bool = False, pairs: bool = False) -> AsyncIterator[AllTick]:
    """The server, running on a free port of 127.0.0.1."""
    stub = AllTick(texts=texts, pairs=pairs)
    routes = [
        Route(f"{base}/{endpoint}", stub.get, methods=["GET", "POST"])
        for base in ("/quote-stock-b-api", "/quote-b-api")
        for endpoint in ("trade-tick", "depth-tick", "kline", "batch-kline", "static_info")
    ]
    app = Starlette(
        routes=[
            *routes,
            WebSocketRoute("/quote-stock-b-ws-api", stub.stock_socket),
            WebSocketRoute("/quote-b-ws-api", stub.other_socket),
        ]
    )
    config = uvicorn.Config(
        app, port=0, ws="websockets-sansio", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    running = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        stub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield stub
    finally:
        server.should_exit = True
        await running
