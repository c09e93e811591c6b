"""A client of AllTick's WebSocket that stays connected.

It reconnects with growing pauses and subscribes again, keeps the connection alive, waits where it came too
often, gives up where waiting cannot help, and hands on each trade once and in order.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple, Self

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

HEARTBEAT, SUBSCRIBE, SUBSCRIBED, TRADE = 22000, 22004, 22005, 22998
UNAUTHORIZED = 401
SPACING = 1.1
"""Seconds between two subscriptions: plans allow one a second."""
SILENT = 3
"""Heartbeats without any answer, after which the connection counts as dead."""


class State(Enum):
    """What a feed does."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    REFUSED = "refused"  # for good: a wrong token, or codes that there are not
    STOPPED = "stopped"


class Tick(NamedTuple):
    """A trade; `time` is in milliseconds since the epoch."""

    code: str
    seq: int
    time: int
    price: Decimal
    volume: Decimal


class Refused(Exception):
    """The server will not give us this, however often we ask."""


class Feed:
    """Trades of some codes, from a thread of its own, while it is in a `with` block."""

    def __init__(
        self,
        url: str,
        codes: Sequence[str],
        on_tick: Callable[[Tick], object],
        on_state: Callable[[State], object] = lambda _: None,
        *,
        heartbeat: float = 10.0,
        first_pause: float = 0.5,
        longest_pause: float = 30.0,
    ) -> None:
        """`url` holds the token. Times are in seconds; the pause doubles with each attempt that fails."""
        self.state = State.STOPPED
        self.dropped = 0
        """Trades that came twice, or behind a newer one."""
        self._url = url
        self._codes = codes
        self._on_tick = on_tick
        self._on_state = on_state
        self._heartbeat = heartbeat
        self._first_pause = self._pause = first_pause
        self._longest_pause = longest_pause
        self._newest: dict[str, int] = {}
        self._subscribe_at = float("inf")
        self._stopping = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, name="feed")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._socket is not None:
            self._socket.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._stopping.wait(self._attempt())
        except Refused:
            self._change(State.REFUSED)
        else:
            self._change(State.STOPPED)

    def _attempt(self) -> float:
        """Connects, and stays as long as it can; returns the seconds to wait before the next attempt."""
        self._change(State.CONNECTING)
        asked: float | None = None
        try:
            with connect(self._url, open_timeout=10, close_timeout=1) as socket:
                self._socket = socket
                self._talk(socket)
        except InvalidStatus as refusal:
            response = refusal.response
            if response.status_code == UNAUTHORIZED:
                raise Refused("the token is wrong or has expired") from refusal
            asked = _seconds(response.headers.get("Retry-After"))  # 429, 503 and whatever else will pass
        except (WebSocketException, OSError):  # closed, reset, silent, not there
            pass
        self._change(State.WAITING)
        pause, self._pause = self._pause, min(self._pause * 2, self._longest_pause)
        # The chance keeps many clients from coming back all at once.
        return pause * random.uniform(0.5, 1) if asked is None else min(asked, self._longest_pause)

    def _talk(self, socket: ClientConnection) -> None:
        heard = now = time.monotonic()
        heartbeat_at = now + self._heartbeat
        self._subscribe_at = now
        while not self._stopping.is_set():
            now = time.monotonic()
            if now >= self._subscribe_at:
                self._subscribe_at = float("inf")
                symbols = [{"code": code} for code in self._codes]
                _send(socket, SUBSCRIBE, {"symbol_list": symbols})
            if now >= heartbeat_at:
                heartbeat_at = now + self._heartbeat
                _send(socket, HEARTBEAT, {})
            if now > heard + SILENT * self._heartbeat:
                raise TimeoutError("the server is silent")
            with contextlib.suppress(TimeoutError):
                message = socket.recv(timeout=max(0.0, min(self._subscribe_at, heartbeat_at) - now))
                heard = time.monotonic()
                self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        if message["cmd_id"] == TRADE:
            self._take_trade(message["data"])
        elif message["cmd_id"] == SUBSCRIBED:
            match message["ret"]:
                case 200:
                    self._pause = self._first_pause
                    self._change(State.LIVE)
                case 605:
                    self._subscribe_at = time.monotonic() + SPACING
                    self._change(State.WAITING)
                case 606:
                    pass  # the server closes the connection
                case ret:
                    raise Refused(f"{ret} {message['msg']}")

    def _take_trade(self, data: dict[str, Any]) -> None:
        code, seq = data["code"], int(data["seq"])
        if seq <= self._newest.get(code, 0):
            self.dropped += 1
            return
        self._newest[code] = seq
        price, volume = Decimal(data["price"]), Decimal(data["volume"])
        self._on_tick(Tick(code, seq, int(data["tick_time"]), price, volume))

    def _change(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self._on_state(state)


def _send(socket: ClientConnection, cmd_id: int, data: dict[str, Any]) -> None:
    request = {"cmd_id": cmd_id, "seq_id": 1, "trace": "feed", "data": data}
    socket.send(json.dumps(request))


def _seconds(text: str | None) -> float | None:
    """What a Retry-After header says. AllTick sends none, servers in between may."""
    try:
        return float(text) if text is not None else None
    except ValueError:  # a date
        return None
