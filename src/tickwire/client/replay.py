"""A replay of what a Tickwire has recorded, as one stream of events, on a connection of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ..model import Kind, moment
from ..wire import SUBPROTOCOL, Pushed
from ..wire.changes import Resumed
from ..wire.messages import Command
from ..wire.subscription import request
from ..wire.upstream import Answer, GoesOn, ReplayMoved, read_several
from ..wire.upstream_fields import ReplayedFields
from .dial import Options, dial, hang_up, reason_of
from .errors import ClientError, RequestRefused, Unavailable
from .events import Event
from .history import milliseconds
from .link import Token
from .strands import Strands

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

END_OF_TIME = 4_102_444_800_000
"""Up to when everything is replayed that there is: 2100, in milliseconds."""
HEARTBEAT = 10.0
"""Seconds between heartbeats."""
PATIENCE = 70.0
"""Seconds that an answer may take: the server may have to look through many files."""
MOST = 20_000
"""Events that wait to be read, about, before no more are taken from the server."""
OK = 200


class ReplayStatus(NamedTuple):
    """Where a replay stands: `began` (also after a pause, and where it was sought), `paused`, `complete`,
    `live` (what follows is live) or `stopped`. `time_ms` is the source's; `reason` says why the server ended
    it, if it did."""

    status: str
    time_ms: int
    reason: str = ""

    @property
    def time(self) -> datetime:
        """The source's time that is reached, in UTC."""
        return moment(self.time_ms)


class Replay:
    """What was recorded, by a clock of its own; made by `Feed.replay`. Iterate it once at a time.

    Iteration gives Trade, Book and Correction in the recorded order across all codes, a Gap where something
    is missing from what was recorded, and a ReplayStatus whenever it changes. It ends when the replay does;
    one that goes on into live ends with `close`. Raises ClientError: a lost connection is not opened again;
    the last event says how far the replay came.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        options: Options,
        items: Iterable[tuple[Kind, str, int]],
        strands: Strands,
        *,
        start: str | date | None,
        end: str | date | None,
        live: bool,
        speed: float,
        paused: bool,
    ) -> None:
        self._url = url
        self._token = token
        self._options = options._replace(extended=True, slow=None)
        self._strands = strands
        until = END_OF_TIME if end is None else milliseconds(end)
        self._asked = {
            "items": [_item(*one) for one in items],
            "from": milliseconds(start) or 0,
            "to": 0 if live else until,
            "speed": speed,
            "step": int(paused),
        }
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: deque[Event | ReplayStatus] = deque()
        self._more = asyncio.Event()  # set when there is something to give, or the end
        self._room = asyncio.Event()  # set when more may be read
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._number = self._seq_id = 0
        self._over = False
        self._error: ClientError | None = None
        self.begin: datetime | None = None
        """When the first event that there is of these codes happened; None before it began."""
        self.end: datetime | None = None
        """When the last one did."""
        self.unavailable: list[tuple[Kind, str, str]] = []
        """Codes that are not among what is replayed, each with why not: `unavailable` (nothing is recorded),
        `unknown`, `unauthorized`, `over_limit`."""

    async def pause(self) -> None:
        """Stops after the events that are under way."""
        await self._control("pause")

    async def resume(self) -> None:
        """Goes on."""
        await self._control("resume")

    async def step(self) -> None:
        """Gives the next event; what plays is paused."""
        await self._control("step")

    async def seek(self, time: str | date) -> None:
        """Goes on from that time; what is read before the ReplayStatus `began` or `paused` is of before."""
        await self._control("seek", time=milliseconds(time))

    async def set_speed(self, speed: float) -> None:
        """1 is as it was, 60 a minute a second, 0 as fast as it is read."""
        await self._control("speed", speed=speed)

    async def close(self) -> None:
        """Ends it, and the iteration."""
        self._end(None)
        for task in self._tasks:
            task.cancel()
        if self._socket is not None:
            await hang_up(self._socket, self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Replay:
        return self

    async def __anext__(self) -> Event | ReplayStatus:
        while not self._ready:
            await self._fill()
        return self._ready.popleft()

    async def batch(self) -> list[Event | ReplayStatus]:
        """All events that are there, at least one; an empty list when it is over. Raises ClientError."""
        try:
            events = [await anext(self)]
        except StopAsyncIteration:
            return []
        events += self._ready
        self._ready.clear()
        return events

    async def _fill(self) -> None:
        """Waits for events. Raises StopAsyncIteration at the end, ClientError."""
        if self._socket is None and not self._over:
            await self._begin()
        self._room.set()
        if not self._ready and not self._over:
            self._more.clear()
            await self._more.wait()
        if not self._ready:
            await self.close()
            if self._error is not None:
                raise self._error
            raise StopAsyncIteration

    async def _begin(self) -> None:
        token = self._token if isinstance(self._token, str) else self._token()
        self._socket = await dial(f"{self._url}?batch=1", token, self._options)
        if self._socket.subprotocol != SUBPROTOCOL:
            await self.close()
            raise RequestRefused("The server is no Tickwire: it cannot replay what it recorded.")
        self._tasks = [asyncio.create_task(one) for one in (self._read(self._socket), self._keep())]
        data = (await self._ask(Command.REPLAY, self._asked)).data
        assert isinstance(data, ReplayedFields)  # noqa: S101  # of an answer that is well
        self._number = data.id
        if data.end:
            self.begin, self.end = moment(data.begin), moment(data.end)
        self.unavailable = [
            (Kind[one.kind.upper()], one.code, one.state) for one in data.items if one.state != "ok"
        ]
        if not self._number:
            await self.close()
            states = ", ".join(sorted({state for *_, state in self.unavailable}))
            raise RequestRefused(f"Nothing of it can be replayed: {states}.")

    async def _read(self, socket: ClientConnection) -> None:
        """Takes what comes, up to the end of the connection."""
        from websockets.exceptions import ConnectionClosed

        try:
            while not self._over:
                if len(self._ready) > MOST and not self._answers:
                    self._room.clear()
                    await self._room.wait()
                await self._take(await socket.recv(decode=False))
        except ConnectionClosed as closed:
            if not self._over:
                self._end(Unavailable(reason_of(closed, self._options)))

    async def _take(self, frame: bytes) -> None:
        pushed: list[Pushed] = []
        for message in read_several(frame):
            if type(message) is Pushed:
                pushed.append(message)
            elif isinstance(message, Answer):
                if (answered := self._answers.get(message.seq_id)) is not None and not answered.done():
                    answered.set_result(message)
            elif isinstance(message, (ReplayMoved, GoesOn)):
                self._ready += self._strands.events(pushed)
                pushed.clear()
                if isinstance(message, ReplayMoved):
                    self._move(message)
                elif message.gap:
                    self._strands.events([Resumed(message.kind, (), ((message.code, None),))])
        self._ready += self._strands.events(pushed)
        if self._ready:
            self._more.set()
        await asyncio.sleep(0)  # whoever waits for these goes first

    def _move(self, moved: ReplayMoved) -> None:
        """The replay stands elsewhere; what is live goes on as streams do that were cut."""
        self._ready.append(ReplayStatus(moved.state, moved.time_ms, moved.reason))
        for one in moved.items:
            kind = Kind[one.kind.upper()]
            if one.state == "gap":
                self._ready += self._strands.events([Resumed(kind, (), ((one.code, None),))])
        if moved.state in ("complete", "stopped"):
            self._end(None)

    async def _control(self, action: str, **more: Any) -> None:
        if self._socket is None:
            await self._begin()
        await self._ask(Command.REPLAY_CONTROL, {"id": self._number, "action": action} | more)

    async def _ask(self, command: Command, data: dict[str, Any]) -> Answer:
        """The answer to a request. Raises ClientError."""
        from websockets.exceptions import ConnectionClosed

        assert self._socket is not None  # noqa: S101  # it was begun
        self._seq_id = number = self._seq_id + 1
        answered = self._answers[number] = asyncio.get_running_loop().create_future()
        self._room.set()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._socket.send(request(command, number, data).decode())
                answer: Answer = await answered
        except TimeoutError:
            raise Unavailable("The server does not answer.") from None
        except ConnectionClosed as closed:
            raise Unavailable(reason_of(closed, self._options)) from None
        finally:
            del self._answers[number]
        if answer.ret != OK:
            raise RequestRefused(f"{answer.ret} {answer.msg}", ret=answer.ret, msg=answer.msg)
        return answer

    async def _keep(self) -> None:
        """Heartbeats, as the server wants them."""
        while self._socket is not None and not self._over:
            await asyncio.sleep(HEARTBEAT)
            self._seq_id += 1
            await self._socket.send(request(Command.HEARTBEAT, self._seq_id, {}).decode())

    def _end(self, error: ClientError | None) -> None:
        """Nothing more comes."""
        if not self._over:
            self._over, self._error = True, error
        for answered in self._answers.values():
            if not answered.done():
                answered.set_exception(error or Unavailable("The replay was closed."))
        self._more.set()


def _item(kind: Kind, code: str, depth: int) -> dict[str, str | int]:
    named: dict[str, str | int] = {"kind": kind.name.lower(), "code": code}
    return named | {"depth_level": depth} if depth else named
