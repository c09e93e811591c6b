"""The WebSocket shell: carries bytes between a socket, its connection and the gateway."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from itertools import chain
from typing import Any

import structlog
from websockets.frames import CloseCode
from websockets.http11 import Request

from ..bus import Supplier
from ..gateway.gateway import NOBODY, Gateway, Heard
from ..gateway.hub import Sparing
from ..machine import Direct, Machine, Writer
from ..model import Ending, Family, Slow
from ..wire import POLICY_VIOLATION, PUBLISH_PATH, Decision, Report
from ..wire.connection import Connection
from ..wire.flags import Flags
from ..wire.form import Form
from ..wire.session import Ask, Close
from .bounds import LATE
from .guests import Guests
from .publish import Publishing
from .publish_socket import PublishSocket
from .shell import Shell
from .traffic import Traffic
from .unread import Unread

SWEEP, OF_CLIENTS = 0.25, 4
"""Seconds between looks for connections that are overdue, and of how many looks one is at clients too: there
may be thousands of them, but publishers are to be told of at once."""
DRAIN, LOOK = 10.0, 0.02
"""Seconds in which clients must take something of what is left when a server ends by itself, and between
looks at it."""
FAREWELLS = 100
"""Clients that are told in one turn of the loop that the server stops."""
LEAVINGS, CHECKS = 100, 500
"""Clients whose end is carried out in one turn of the loop, and those that are looked at for what is overdue:
all may leave in the same moment."""
SHARE = 4
"""One part in so many of the memory that the server may use is for what clients have not read, if no setting
says otherwise."""
GRACE = 10.0
"""Seconds that all have after the process was paused: as long as lies between two heartbeats."""

log = structlog.get_logger()


class WebSockets:
    """All WebSockets of a server."""

    def __init__(self, gateway: Gateway, market: Supplier, machine: Machine, traffic: Traffic) -> None:
        """`market` takes what is published."""
        settings = gateway.settings
        self.gateway, self.network, self.traffic = gateway, machine.network, traffic
        together = settings.unread_bytes or machine.memory() // SHARE
        self.unread = Unread(settings.client_buffer, together, settings.unread_timeout)
        self.alive: set[WebSocket] = set()
        self._publishing = Publishing(gateway, market)
        self._publishers: set[PublishSocket] = set()
        self._leaving: deque[WebSocket] = deque()
        self._due = math.inf  # when the next look is
        self._grace = 0.0
        self._looks = 0

    def protocol(self, guests: Guests, path: str) -> WebSocket | PublishSocket:
        """Makes the protocol of a connection that is upgraded on that path."""
        if path == PUBLISH_PATH:
            return PublishSocket(self._publishing, self._publishers, guests, self.unread, self.traffic)
        return WebSocket(self, guests)

    async def sweep(self) -> None:
        """Closes those from which nothing came for too long, and publishers that must end.

        A look that comes late follows a pause of the process, or of its machine. What the clients sent
        meanwhile waits in the sockets, and some of them were paused with us: nobody is closed until they had
        time to be heard.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._due = loop.time() + SWEEP
            await asyncio.sleep(SWEEP)
            if (late := loop.time() - self._due) > LATE:
                log.warning("the server was held up", seconds=round(late, 3))
                self._grace = loop.time() + GRACE
            if loop.time() >= self._grace:
                await self.check(self.gateway.clock())

    @property
    def was_held_up(self) -> bool:
        """Whether what comes now may come late because of us."""
        now = asyncio.get_running_loop().time()
        return now < self._grace or now - self._due > LATE

    async def drain(self) -> None:
        """Waits until all clients have taken what was written to them, or none takes any more of it."""
        loop = asyncio.get_running_loop()
        least, until = math.inf, loop.time() + DRAIN
        while (unread := sum(one.waiting for one in self.alive)) and loop.time() < until:
            if unread < least:
                least, until = unread, loop.time() + DRAIN
            await asyncio.sleep(LOOK)
        if unread:
            log.warning("clients did not take all of it", unread_bytes=unread)

    async def send_away(self, seconds: float, hurried: Callable[[], bool]) -> None:
        """Tells everybody who is connected that the server goes away, one after the other over that time, or
        as soon as it is `hurried` all that are left."""
        loop = asyncio.get_running_loop()
        everybody = deque[Shell]([*self.alive, *self._publishers])
        count, began = len(everybody), loop.time()
        while everybody:
            spent = 1.0 if hurried() else min((loop.time() - began) / max(seconds, LOOK), 1.0)
            due = int(count * spent) + 1 - (count - len(everybody))
            for _ in range(min(due, len(everybody), FAREWELLS)):
                one = everybody.popleft()
                if not one.transport.is_closing():
                    one.shutdown()
            await asyncio.sleep(0 if due > FAREWELLS else LOOK)

    def leave(self, one: WebSocket) -> None:
        """A client is gone: its place is free, and the rest of what it had is in a moment."""
        self.gateway.vacate(one)
        if not self._leaving:
            asyncio.get_running_loop().call_soon(self._see_off)
        self._leaving.append(one)

    def _see_off(self) -> None:
        for _ in range(min(len(self._leaving), LEAVINGS)):
            self.gateway.leave(self._leaving.popleft())
        if self._leaving:
            asyncio.get_running_loop().call_soon(self._see_off)

    async def check(self, now: float) -> None:
        """Closes whoever is overdue. One that cannot be closed is dropped, and keeps nobody else open."""
        self._looks += 1
        clients = () if self._looks % OF_CLIENTS else (*self.alive,)
        for number, one in enumerate((*self._publishers, *clients), 1):
            if not number % CHECKS:
                await asyncio.sleep(0)
            try:
                one.check(now)
            except Exception:
                log.exception("a connection cannot be checked, it is dropped")
                one.transport.abort()


class WebSocket(Shell):
    """One client's socket.

    Pushes go past the connection, because their bytes are the same for every client: straight to the
    socket while nothing waits before them, else through the transport, which keeps the order.
    """

    _writer: Writer

    def __init__(self, websockets: WebSockets, guests: Guests) -> None:
        self._websockets, self._gateway = websockets, websockets.gateway
        super().__init__(websockets.alive, guests, websockets.unread, websockets.traffic)
        self.last_heard = self._gateway.clock()
        self._connection = Connection(
            partial(self._gateway.admit, self),
            strict=self._gateway.dialect.strict_protocol,
            deflate=self._gateway.settings.permessage_deflate,
            heard=None if self._gateway.observer is NOBODY else self._tell,
            answered=self._upgraded,
        )
        self._delayed: deque[bytes] | None = None  # what came and is looked at later, if ever
        self._delayed_size = 0
        self._delayed_until = 0.0
        self._kept = 0  # bytes in its outbox
        self._asking: asyncio.Task[None] | None = None  # what is known elsewhere, and all else waits for
        self._has_outbox = False

    # What asyncio calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The upgrade request has been read."""
        super().connection_made(transport)
        self._writer = self._websockets.network.writer(self.transport)

    def upgrade(self, request: Request) -> None:
        """Lets the client in, or says why not."""
        claims = self._connection.claims(request)
        if claims is not None and self._gateway.is_shared(claims[1]):
            self._wait_for(self._enter_later(request, *claims))
        else:
            self._enter(request)

    async def _enter_later(self, request: Request, family: Family, token: str) -> None:
        await self._gateway.reserve(self, family, token)
        self._enter(request)

    def _enter(self, request: Request) -> None:
        self._send(self._connection.upgrade(request))
        if self._accepted and self.sparing.slow is Slow.CONFLATE:
            self._writer.stay_fresh()

    def _hear(self, data: bytes) -> int:
        if self.transport.is_closing():
            return 0
        self.last_heard = self._gateway.clock()
        if self._websockets.was_held_up:
            self._connection.forgive(self.last_heard)
        if self._delayed or self._gateway.delay(self):
            self._delay(data)
            return 0
        self._carry(self._connection.receive(data, self.last_heard))
        return self._connection.frames.together

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever."""
        super().connection_lost(exc)
        if self._asking is not None:
            self._asking.cancel()
        self._websockets.leave(self)
        self._connection.end()

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self._gateway.slow(self)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._gateway.quick(self)
        if self._has_outbox:
            self._gateway.hub.ready(self)

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops. What was kept for who does not keep up is its, as what waits in the transport
        is."""
        if self._ending is None:
            self._gateway.hub.finish(self)
        super().shutdown()

    # What the hub calls.
    @property
    def flags(self) -> Flags:
        """What the client has said of the connection."""
        return self._connection.flags

    @flags.setter
    def flags(self, flags: Flags) -> None:
        self._connection.set(flags)
        if self.sparing.slow is Slow.CONFLATE:
            self._writer.stay_fresh()

    @property
    def form(self) -> Form:
        """In which form it is sent pushes."""
        return self._connection.form

    @property
    def direct(self) -> Direct | None:
        """Its socket, for pushes."""
        return None if self._ending is not None else self._writer.direct

    def push(self, data: bytes) -> bool:
        """Writes whole frames; never waits. Returns whether none of it waits in the transport: it is lost on
        one that ends."""
        if self._ending is not None:
            return True
        if rest := self._writer.write(data):
            super()._write(rest)
            return not self.transport.get_write_buffer_size()
        return True

    @property
    def sparing(self) -> Sparing:
        """What becomes of it when it cannot keep up."""
        flags, session = self._connection.flags, self._connection.session
        named = flags != Flags() or (session is not None and session.extended)
        return Sparing(flags.slow or self._gateway.settings.slow, named)

    @property
    def unread(self) -> int:
        """Bytes that wait in its transport."""
        return self.transport.get_write_buffer_size()

    def spare(self, *, spared: bool) -> None:
        """It has an outbox, and tells the hub when nothing waits in its transport any more; or has none."""
        self._has_outbox = spared
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits(0 if spared else None)

    def keep(self, size: int) -> None:
        """So many bytes wait in its outbox, which is gone when the connection ends."""
        if self._ending is not None or self.transport.is_closing():
            size = 0
        more, self._kept = size - self._kept, size
        if more > 0:
            self._unread.add(self, more)

    def give_up(self) -> None:
        """More waits for it than may."""
        self._give_up("client_buffer", f"over {self._unread.bound} bytes unread")

    # What the end of a replay calls.
    @property
    def waiting(self) -> int:
        """Bytes that its client's machine has not taken."""
        return self._writer.waiting() + self._kept

    # What bounds all of them together calls.
    @property
    def held(self) -> int:
        """Bytes that wait for it here."""
        return self.transport.get_write_buffer_size() + self._kept

    def cut_off(self) -> None:
        """Ends it at once."""
        if self.transport.is_closing():
            super().cut_off()
        else:
            self.reset(Ending.SLOW)

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if its heartbeat is overdue, or if its client reads hardly anything."""
        super().check(now)
        if self._ending is None and (overdue := self._connection.overdue(now)) is not None:
            self.close(POLICY_VIOLATION, *overdue)

    # What the gateway and the hub call.
    def reset(self, why: Ending = Ending.ERROR) -> None:
        """Ends the connection at once, with a reset of TCP."""
        self._closed = self._closed or (CloseCode.ABNORMAL_CLOSURE, why)
        self._gateway.leave(self)
        if not self.transport.is_closing():
            self._writer.reset()

    def _tell(self, path: str, text: str, noted: Report) -> None:
        if (caller := self._gateway.callers.get(self)) is not None:
            heard = Heard(caller.client.connection, path, text, tuple(noted.counts()))
            self._gateway.observer.heard(heard)

    def _delay(self, data: bytes) -> None:
        """Looks at what came when a scenario says, in order; reads nothing more while much of it waits."""
        loop = asyncio.get_running_loop()
        if self._delayed is None:
            self._delayed = deque()
        self._delayed.append(data)
        self._delayed_size += len(data)
        self._delayed_until = max(self._delayed_until, loop.time() + self._gateway.delay(self))
        loop.call_at(self._delayed_until, self._hear_delayed)
        if self._busy:
            self.transport.pause_reading()

    def _hear_delayed(self) -> None:
        if self._asking is not None:  # in its turn
            self._asking.add_done_callback(lambda _: self._hear_delayed())
            return
        held = self._busy
        assert self._delayed is not None  # noqa: S101
        data = self._delayed.popleft()
        self._delayed_size -= len(data)
        if not self.transport.is_closing():
            self._carry(self._connection.receive(data, self._gateway.clock()))
            if held and not self._busy:
                self._go_on()

    @property
    def _busy(self) -> bool:
        return self._asking is not None or self._delayed_size > self._unread.bound

    def _wait_for(self, asking: Coroutine[Any, Any, None]) -> None:
        """What comes waits meanwhile."""
        self._asking = asyncio.create_task(self._ask(asking))

    async def _ask(self, asking: Coroutine[Any, Any, None]) -> None:
        try:
            await asking
        except Exception:
            log.exception("a connection cannot be let in")
            self.transport.abort()
        finally:
            if self._asking is asyncio.current_task():  # else it has begun to wait for something else
                self._asking = None
        if not self._busy:
            self._go_on()

    async def _ask_to_subscribe(self, cmd_id: int) -> None:
        granted = await self._gateway.may_subscribe(self, cmd_id)
        if not self.transport.is_closing():
            self._asking = None
            self._carry(self._connection.go_on(self._gateway.clock(), granted=granted))

    async def _carry_later(
        self, waits: Awaitable[None], decision: Decision, left: Iterable[bytes | Decision]
    ) -> None:
        await waits
        if not self.transport.is_closing():
            self._asking = None
            self._carry(chain((decision,), left), waited=decision)

    def _carry(self, out: Iterable[bytes | Decision], *, waited: Decision | None = None) -> None:
        """Writes and carries out, in order. What is to be awaited of the decision `waited` was."""
        replies: list[bytes] = []
        close: Close | None = None
        asks: Ask | None = None
        left = iter(out)
        for item in left:
            if isinstance(item, bytes):
                replies.append(item)
            elif item is not waited and (waits := self._gateway.first(item)) is not None:
                self._send(replies)
                self._wait_for(self._carry_later(waits, item, left))
                return
            elif isinstance(item, Close):
                close = item
            elif isinstance(item, Ask):
                asks = item
            elif frames := self._gateway.carry_out(self, item):
                replies.append(self.form.told(frames))
        self._send(replies)
        if self._connection.frames.closing:
            self._end()
        if close is not None:
            self.close(*close, Ending.RATE)
        if asks is not None:
            self._wait_for(self._ask_to_subscribe(asks.cmd_id))

    @property
    def _ended(self) -> tuple[int, Ending]:
        return self._connection.frames.ending

    def _closing(self, code: int, reason: str) -> Iterable[bytes]:
        return self._connection.frames.close(code, reason)

    def _end(self) -> None:
        self._websockets.leave(self)  # pushes end here
        super()._end()

    def _write(self, data: bytes | memoryview) -> None:
        if rest := self._writer.write(data):
            super()._write(rest)
