"""Publishing over a WebSocket: each message holds lines, and is answered when they are taken."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import structlog
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from ..bus import Stop
from ..errors import StoreError
from ..model import Ending
from ..wire import POLICY_VIOLATION
from ..wire.frames import Frames, Message, refusal
from ..wire.publish import publish_answer
from ..wire.ret import OK, STOPPING, Ret
from .bounds import Deadline
from .guard import Denied
from .guests import Guests
from .publish import MARKET_AWAY, STOPS, Permit, Publishing, not_kept
from .shell import LINGER, Shell
from .traffic import Traffic
from .unread import Unread

QUIET = 30.0
"""Seconds without a whole frame after which a publisher is pinged; after as many again it counts as gone."""
PRESENT = 0.5
"""Seconds between two times that the market is told that a publisher is there."""
ANSWERS = 64
"""Answers that are written at once where many messages come together."""

log = structlog.get_logger()


class PublishSocket(Shell):
    """One publisher's socket.

    Nothing more is read from it while a message is being taken, or while its answers are not read: so
    whoever sends too fast is slowed down, and memory stays bounded.
    """

    # Messages are long, so few are in a piece, and here they are only cut out. They are taken in turns of
    # their own, each of which costs a task, a write, and a turn of the market.
    together = ANSWERS

    def __init__(
        self,
        publishing: Publishing,
        alive: set[Any],
        guests: Guests,
        unread: Unread,
        traffic: Traffic,
    ) -> None:
        """`alive` is the set that it stands in while it is connected."""
        super().__init__(alive, guests, unread, traffic)
        self._publishing = publishing
        self._frames = Frames(self._enter, answered=self._upgraded)
        self._permit: Permit | None = None
        self._messages: deque[bytes] = deque()
        self._count = 0
        self._taking: asyncio.Task[None] | None = None
        self._leaving: Deadline | None = None  # by which what is being taken must be, once the server stops
        self._writable = asyncio.Event()
        self._writable.set()
        self._frames.heard = self._pinged = self._told = publishing.gateway.clock()

    # What HTTP calls.
    def upgrade(self, request: Request) -> None:
        """Lets the publisher in, or says why not."""
        self._send(self._frames.upgrade(request))

    # What asyncio calls.
    def _hear(self, data: bytes) -> int:
        out: list[bytes] = []
        for item in self._frames.receive(data, self._publishing.gateway.clock()):
            if isinstance(item, Message):
                self._messages.append(item.data)
            elif isinstance(item, bytes):
                out.append(item)
        self._send(out)
        if self._frames.closing:
            self._end()
        return self._frames.together

    def _act(self) -> None:
        if self._messages and self._taking is None:
            self.transport.pause_reading()
            self._taking = asyncio.get_running_loop().create_task(self._take())

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by whomever; what came before is taken all the same."""
        super().connection_lost(exc)
        self._writable.set()
        if self._leaving is not None:
            self._leaving.cancel()

    # What uvicorn calls.
    def shutdown(self) -> None:
        """The server stops. What is being taken is answered first, if that does not take too long."""
        if self._taking is None:
            super().shutdown()
        elif self._leaving is None:
            self._leaving = Deadline(LINGER, super().shutdown)

    def pause_writing(self) -> None:
        """The publisher does not read its answers."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    # What the sweep calls.
    def check(self, now: float) -> None:
        """Closes the connection if its token counts no more, or if the publisher is gone."""
        super().check(now)
        if self._permit is None or self._ending is not None:
            return
        heard = self._frames.heard
        if (objection := self._publishing.objection(self._permit)) is not None:
            self.close(POLICY_VIOLATION, objection, Ending.TOKEN)
        elif self._taking is not None and self._writable.is_set():
            pass  # nothing is read from it
        elif self._frames.overdue(now):
            self.close(POLICY_VIOLATION, "a message was not completed in time", Ending.UNFINISHED)
        elif now - heard > 2 * QUIET:
            self.close(POLICY_VIOLATION, "nothing heard for too long", Ending.HEARTBEAT)
        elif now - max(heard, self._pinged) > QUIET:
            self._pinged = now
            self._frames.ping()
            self._send(self._frames.waiting())
        if self._ending is None and now - heard < QUIET and now - self._told > PRESENT:
            self._told = now
            market, uplink = self._publishing.market, self._publishing.gateway.uplink
            uplink.say(market.publish, self._permit.publisher, ())  # it is there, whatever it publishes

    @property
    def _busy(self) -> bool:
        return self._taking is not None

    async def _take(self) -> None:
        try:
            while self._messages and self._permit is not None:
                await self._answer(self._messages.popleft(), self._permit)
                if not self._messages or not self._count % ANSWERS:
                    self._send(self._frames.waiting())
                    await self._writable.wait()
                    if self._messages:
                        await asyncio.sleep(0)  # others have their turn
        except StoreError:  # who comes back asks what was taken
            self.close(CloseCode.TRY_AGAIN_LATER, MARKET_AWAY)
        except Exception:
            log.exception("publishing failed")
            self.close(CloseCode.INTERNAL_ERROR, "server error")
        self._taking = None
        if self._leaving is None:
            self._go_on()
        else:
            self._leaving.cancel()
            super().shutdown()

    async def _answer(self, message: bytes, permit: Permit) -> None:
        """Takes the lines of a message; answers if the connection is open still."""
        self._count += 1
        if (answer := await self._publishing.hello(permit, message)) is not None:
            self._frames.send(answer)
            await asyncio.sleep(0)  # it may have been long
            return
        taken = await self._publishing.market.publish(
            permit.publisher, message.split(b"\n"), reach=permit.reach
        )
        taken.tally.message = self._count
        match taken.stop:
            case None:
                ret = OK
            case Stop.STOPS:
                ret = STOPS
            case Stop.AWAY:
                raise StoreError(MARKET_AWAY)
            case _:
                ret = not_kept(taken)
        self._frames.send(publish_answer(taken.tally, ret))

    def _enter(self, request: Request) -> Response | None:
        if self._publishing.gateway.draining:
            return refusal(STOPPING, pages=False)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        peer = self.transport.get_extra_info("peername")
        try:
            query = request.path.partition("?")[2].encode("latin-1", "replace")
            self._permit = self._publishing.admit(headers, query, peer[0] if peer else "")
        except Denied as denied:
            return refusal(Ret(denied.status, denied.reason, denied.status), pages=False)
        return None

    @property
    def _ended(self) -> tuple[int, Ending]:
        return self._frames.ending

    def _closing(self, code: int, reason: str) -> Iterable[bytes]:
        return self._frames.close(code, reason)
