"""One connection to a server, kept up: the sockets around a conversation.

A link tells its owner through a buffer, not by an iterator of its own: several links (two families, several
connections of one plan) then need no tasks that merge them, and the way of an event is two appends.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from random import Random
from typing import TYPE_CHECKING, Self, TypeAlias
from urllib.parse import urlsplit

from ..wire import SUBPROTOCOL, Bad, Conversation, Happening, Pace, Pushed
from .backoff import Tries
from .buffer import Buffer
from .clock import Clock, RealClock
from .dial import Options, dial, hang_up, reason_of
from .errors import Unauthorized, Unavailable, Untrusted
from .state import LinkStatus, State

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

Token: TypeAlias = str | Callable[[], str]
"""A token, or what gives the one of the moment: it is asked before every connection."""
NEW_CONNECTIONS = "connect"
"""The key of new connections in a Pace."""
TURN = 32
"""Frames that are read before others get their turn: the owner takes events while they are in the cache."""
UNAUTHORIZED = 401


class Link:
    """A connection to one path of a server, begun anew whenever it ends.

    `url` is that of `websocket_url`. `requests` paces the subscriptions and `connections` the new
    connections of a token; links that share the token share them. An error that no try can heal is told
    as DOWN, and raised by the buffer: Unauthorized. `on_state` is called with each state, at once.
    `connected` counts the connections that there were; `heard` is when the last message came, or the
    connection, in seconds of the clock.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        buffer: Buffer,
        options: Options | None = None,
        *,
        name: str = "",
        requests: Pace | None = None,
        connections: Pace | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        on_state: Callable[[State], object] | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a WebSocket")
        self.options = options or Options()
        self.name = name or f"{parts.hostname}{parts.path}"
        self.conversation = Conversation(self.options.terms, requests, self.options.latest)
        self.connected = 0
        self._url = url
        self._token = token
        self._buffer = buffer
        self._pace = connections or Pace(0.0)
        self._clock: Clock = clock or RealClock()
        self._tries = Tries(self.options.backoff, random or Random())
        self._on_state = on_state
        self._wake = asyncio.Event()
        self._blocked = False
        self._asked: str | None = None
        self._ending: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard = self._clock.time()
        self.state = State(self.name, LinkStatus.DOWN, self.heard, "not started")

    # What the owner calls.
    def add(
        self,
        *,
        trades: Iterable[str] = (),
        books: Mapping[str, int] | None = None,
        klines: Iterable[tuple[str, int]] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> None:
        """Wants these too, see Conversation. Sent when the loop's turn ends, or when the plan allows."""
        self.conversation.add(
            trades=trades, books=books, klines=klines, corrections=corrections, states=states
        )
        self._wake.set()

    def remove(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] = (),
        klines: Iterable[tuple[str, int]] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> None:
        """Wants these no more, see Conversation."""
        self.conversation.remove(
            trades=trades, books=books, klines=klines, corrections=corrections, states=states
        )
        self._wake.set()

    def watch_sources(self, *, wanted: bool) -> None:
        """Wants to be told how the server's sources are, or not any more."""
        self.conversation.sources = wanted
        self._wake.set()

    def start(self) -> None:
        """Begins to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"link {self.name}")

    def reconnect(self, reason: str) -> None:
        """Ends the connection, or the wait for the next one, and connects anew as soon as spacing allows."""
        self._asked = reason
        self._wake.set()

    async def close(self) -> None:
        """Ends everything; the buffer stays, for it may have other links."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # The connections, one after another.
    async def _run(self) -> None:
        try:
            while True:
                await self._buffer.room()
                await self._turn()
                await self._connect()
        except asyncio.CancelledError:
            self._tell(LinkStatus.DOWN, "closed")
            raise
        except Exception as error:  # a bad token, or a mistake of ours: neither may end in silence
            self._tell(LinkStatus.DOWN, str(error))
            self._buffer.fail(error)

    async def _turn(self) -> None:
        """Waits until a new connection may be made."""
        while (moment := self._pace.free_at(NEW_CONNECTIONS)) > self._clock.time():
            self._wake.clear()
            await self._nap(moment)
        self._pace.take(NEW_CONNECTIONS, self._clock.time())

    async def _connect(self) -> None:
        """One connection, from its beginning to the end of the pause behind it. Raises Unauthorized."""
        self._asked = None
        self._tell(LinkStatus.CONNECTING)
        token, wait, http_status, untrusted = self._token_now(), 0.0, 0, False
        try:
            socket = await dial(self._url, token, self.options)
        except Unavailable as lost:
            reason, http_status, untrusted = str(lost), lost.status, isinstance(lost, Untrusted)
            wait = lost.retry_after or 0.0
            final = lost.status == UNAUTHORIZED and not self.options.retry_unauthorized
            if final and token == self._token_now():
                raise Unauthorized(f"{self.name}: {reason}", ret=lost.status, status=lost.status) from None
            if lost.status == UNAUTHORIZED:
                wait = max(wait, self.options.unauthorized_pause)
        else:
            began = self._clock.time()
            reason = await self._converse(socket)
            self._tries.lasted(self._clock.time() - began)
        pause = 0.0 if self._asked else max(self._tries.delay(), wait)
        self._tell(LinkStatus.DOWN, reason, pause, http_status, untrusted=untrusted)
        until = self._clock.time() + pause
        while self._asked is None and self._clock.time() < until:
            self._wake.clear()
            await self._nap(until)

    async def _converse(self, socket: ClientConnection) -> str:
        """Carries the conversation until the connection ends; returns why it did."""
        from websockets.exceptions import ConnectionClosed

        self.connected += 1
        self.heard = self._clock.time()
        self.conversation.opened(self.heard, greets=socket.subprotocol == SUBPROTOCOL)
        self._ending, self._blocked = None, False
        self._tell(LinkStatus.UP)
        speaking = asyncio.create_task(self._speak(socket), name=f"{self.name}: requests")
        try:
            await self._listen(socket)
        except ConnectionClosed as closed:
            reason = self._ending or reason_of(closed, self.options)
        finally:
            self.conversation.closed()
            speaking.cancel()
            await asyncio.wait([speaking])
            await hang_up(socket, self.options)
        if not speaking.cancelled() and (error := speaking.exception()) is not None:
            raise error
        return reason

    async def _listen(self, socket: ClientConnection) -> None:
        """Tells what comes. Ends by ConnectionClosed."""
        receive, time, put = self.conversation.receive, self._clock.time, self._buffer.put
        overhear = self.options.overhear
        for count in itertools.count(1):
            if not count % TURN:
                await asyncio.sleep(0)
            frame = await socket.recv(decode=False)
            self.heard = now = time()
            found = receive(frame, now)
            if overhear is not None:
                overhear(frame, found)
            if len(found) == 1 and type(found[0]) is Pushed:
                put(found)
            elif found:
                self._tell_all(found)
            if self.state.status is LinkStatus.STALE:
                self._wake.set()
            if self._buffer.full:
                self._blocked = True
                await self._buffer.room()
                self._blocked = False
                self.conversation.excuse(time())

    async def _speak(self, socket: ClientConnection) -> None:
        """Sends what is due, and closes the connection when it is dead or the owner wants another."""
        from websockets.exceptions import ConnectionClosed

        try:
            while not self._ended():
                self._wake.clear()
                for item in self.conversation.poll(self._clock.time()):
                    if isinstance(item, bytes):
                        async with asyncio.timeout(self.options.terms.mute):
                            await socket.send(item.decode())
                    else:
                        self._tell_all((item,))
                await self._nap(self.conversation.due(self._clock.time()))
        except TimeoutError:
            self._ending = "the server takes nothing"
        except ConnectionClosed:
            pass  # which is told where messages are read
        finally:
            await hang_up(socket, self.options)

    def _ended(self) -> bool:
        """Whether the connection must end; tells when its health has changed."""
        now, terms = self._clock.time(), self.options.terms
        if self._asked is not None:
            self._ending = self._asked
        elif self._blocked:
            self.conversation.excuse(now)
        elif self.conversation.mute(now):
            self._ending = f"mute: no answer in {terms.mute:g} s"
        elif self.conversation.late(now):
            if self.state.status is LinkStatus.UP:
                self._tell(LinkStatus.STALE, f"no answer in {terms.mute / 2:g} s")
        elif self.state.status is LinkStatus.STALE:
            self._tell(LinkStatus.UP)
        return self._ending is not None

    async def _nap(self, until: float) -> None:
        """Waits for that moment, or for whatever wakes."""
        if until == inf:
            await self._wake.wait()
            return
        timer = self._clock.call_later(max(until - self._clock.time(), 0.0), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _tell_all(self, found: Sequence[Happening]) -> None:
        """Tells what is not a single event, and lets the conversation say what follows from it."""
        for one in found:
            if isinstance(one, Bad):
                self._buffer.put_bad(one)
            else:
                self._buffer.put((one,))
        self._wake.set()

    def _tell(
        self,
        status: LinkStatus,
        reason: str = "",
        again: float | None = None,
        http_status: int = 0,
        *,
        untrusted: bool = False,
    ) -> None:
        self.state = State(self.name, status, self._clock.time(), reason, again, http_status, untrusted)
        self._buffer.put((self.state,))
        if self._on_state is not None:
            self._on_state(self.state)

    def _token_now(self) -> str:
        return self._token if isinstance(self._token, str) else self._token()
