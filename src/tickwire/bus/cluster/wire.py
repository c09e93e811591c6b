"""A connection to NATS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import nats.errors
import structlog
from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg

from ...errors import StartError

FIRST = 10.0
"""Seconds in which a node that starts must reach a server."""
AGAIN = 0.25
"""Seconds between two tries to reach one."""
PING, UNANSWERED = 2, 2
"""Seconds between two questions whether a server is there, and how many without an answer say that it is not.
"""
FLUSH = 2**20
"""Bytes that are sent before it is made sure that the server has taken them."""
TAKES = 10
"""Seconds in which it takes them, or counts as one that is not there."""

Take: TypeAlias = Callable[[str, str, bytes], None]
"""Takes a message: its subject, where it is to be answered, and what it says."""

log = structlog.get_logger()


class Access(NamedTuple):
    """Where NATS is, and who we are there.

    `credentials` are a user's JWT and seed as `nsc` writes them, a line `user:password`, or a token. `ca`
    holds the certificates that servers are checked against in place of the system's.
    """

    urls: tuple[str, ...]
    credentials: str = ""
    ca: Path | None = None

    @property
    def shown(self) -> str:
        """The URLs, without what is secret in them."""
        return ", ".join(_bare(url) for url in self.urls)

    def options(self) -> dict[str, Any]:
        """What the library is told. Raises StartError if a file cannot be used."""
        found: dict[str, Any] = {"servers": [*self.urls]}
        if self.ca is not None or any(url.startswith("tls:") for url in self.urls):
            try:
                found["tls"] = ssl.create_default_context(cafile=self.ca)
            except (OSError, ssl.SSLError) as error:
                raise StartError(f"--bus-ca {self.ca} cannot be used: {error}.") from None
        text = self.credentials.strip()
        if "BEGIN NATS USER JWT" in text:
            found["user_credentials"] = RawCredentials(text)
        elif "\n" in text:
            raise StartError(
                "--bus-credentials holds neither a user's credentials as `nsc` writes them, nor one line "
                "user:password, nor a token."
            )
        elif ":" in text:
            found["user"], _, found["password"] = text.partition(":")
        elif text:
            found["token"] = text
        return found


def _bare(url: str) -> str:
    scheme, _, rest = url.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


class _Client(Client):
    """The library's client, but that messages are taken as they are read.

    The library hands each subscription's messages to a task of its own: what was sent in order on two
    subjects would be taken in any order. And it encrypts if the server asks for it, whatever we asked for:
    who stands between could have the password.
    """

    def __init__(self) -> None:
        super().__init__()
        self.takers: dict[int, Take] = {}

    def _connect_command(self) -> bytes:
        if self.options.get("tls") is not None and not self._server_info.get("tls_required"):
            raise nats.errors.Error("the server does not encrypt, as tls:// or --bus-ca ask for")
        command: bytes = super()._connect_command()
        return command

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        if (take := self.takers.get(sid)) is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            take(subject.decode(), reply.decode(), data)


class Wire:
    """A connection to NATS: use `connected`.

    What is sent while no server is there, or faster than it is taken, is lost: whoever hears the rest sees it
    by the numbers.
    """

    def __init__(self, client: _Client) -> None:
        self.client = client
        self.lost: list[Callable[[], None]] = []
        """Called when no server is there any more."""
        self.back: list[Callable[[], None]] = []
        """Called when one is again."""
        self.is_over = False
        self.dropped = 0
        """Messages that were not sent."""
        self._queue: deque[tuple[str, bytes, str]] = deque()
        self._queued = 0
        self._some = asyncio.Event()
        self._fails = False

    def send(self, subject: str, data: bytes, reply: str = "") -> None:
        """Takes a message, without ever waiting. All that is sent is sent in order."""
        self._queue.append((subject, data, reply))
        self._queued += len(data)
        self._some.set()

    @property
    def waiting(self) -> int:
        """Bytes that have not been sent."""
        return self._queued + self.client.pending_data_size

    async def take(self, subject: str, take: Take) -> Callable[[], None]:
        """Has `take` called with all that is sent on a subject, in the order of all subjects; it must raise
        nothing. Returns what ends it."""

        def safe(where: str, reply: str, data: bytes) -> None:
            try:
                take(where, reply, data)
            except Exception:  # which would end the reading of all
                log.exception("a message of the bus cannot be taken", subject=where)

        async def early(message: Msg) -> None:  # what comes before the number is known
            safe(message.subject, message.reply, message.data)

        subscription = await self.client.subscribe(subject, cb=early)
        number = subscription._id  # the library has no other name for it
        self.client.takers[number] = safe
        ending = set[asyncio.Task[None]]()

        async def leave() -> None:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

        def end() -> None:
            if self.client.takers.pop(number, None) is not None:
                self.client.takers[number] = _nowhere
                task = asyncio.ensure_future(leave())
                ending.add(task)
                task.add_done_callback(ending.discard)
                task.add_done_callback(lambda _: self.client.takers.pop(number, None))

        return end

    async def is_answered(self, subject: str, seconds: float) -> bool | None:
        """Whether anybody answers there: False if nobody is connected who would, None if it is not known."""
        try:
            await self.client.request(subject, b"", timeout=seconds)
        except nats.errors.NoRespondersError:
            return False
        except (nats.errors.Error, OSError):
            return None
        return True

    async def run(self) -> None:
        """Sends what is to be sent. Never ends."""
        sent = 0
        while True:
            await self._some.wait()
            self._some.clear()
            while self._queue:
                subject, data, reply = self._queue.popleft()
                self._queued -= len(data)
                try:
                    await self.client.publish(subject, data, reply)
                    sent += len(data)
                    if sent > FLUSH:
                        sent = 0
                        await self.client.flush(TAKES)
                    self._fails = False
                except (nats.errors.Error, OSError, TimeoutError) as error:
                    self.dropped += 1
                    if not self._fails:
                        log.warning("the bus cannot be told what it should be", reason=_reason(error))
                    self._fails = True


def _nowhere(subject: str, reply: str, data: bytes) -> None:
    """Comes after the end."""


def _reason(error: BaseException | None) -> str:
    if isinstance(error, nats.errors.OutboundBufferLimitError):
        return "no server is there"
    return str(error).removeprefix("nats: ").strip() or type(error).__name__


@contextlib.asynccontextmanager
async def connected(access: Access, name: str) -> AsyncIterator[Wire]:
    """A connection that is kept up: to another of the servers, if one goes. Raises StartError if none can be
    reached at first."""
    client, last = _Client(), dict[str, str]()
    wire = Wire(client)

    async def failed(error: Exception) -> None:
        reason = _reason(error)
        if "authorization" in reason.lower() or "authentication" in reason.lower():
            last["refused"] = reason
        if last.get("reason") != reason:
            last["reason"] = reason
            log.warning("NATS", reason=reason)

    def telling(whom: list[Callable[[], None]], text: str) -> Callable[[], Awaitable[None]]:
        async def tell() -> None:
            if wire.is_over:
                return
            last.clear()
            log.warning(text, server=access.shown)
            for one in [*whom]:
                one()

        return tell

    options = access.options()
    try:
        async with asyncio.timeout(FIRST):
            await client.connect(
                **options,
                name=name,
                error_cb=failed,
                disconnected_cb=telling(wire.lost, "no NATS server is there"),
                reconnected_cb=telling(wire.back, "a NATS server is there again"),
                max_reconnect_attempts=-1,
                reconnect_time_wait=AGAIN,  # type: ignore[arg-type]  # it is slept for
                connect_timeout=2,
                ping_interval=PING,
                max_outstanding_pings=UNANSWERED,
                pending_size=0,  # nothing is kept for later: it would be old
            )
    except TimeoutError:
        reason = last.get("reason", "no answer")
        if refused := last.get("refused"):
            raise StartError(
                f"NATS at {access.shown} does not let us in: {refused}. See to --bus-credentials, and to the "
                "users of nats.conf."
            ) from None
        raise StartError(
            f"NATS cannot be reached at {access.shown}: {reason}. Start it (with JetStream, `nats-server "
            "-js`), or check --bus and --bus-credentials."
        ) from None
    except ValueError as error:
        raise StartError(f"NATS cannot be reached at {access.shown}: {error}.") from None
    sending = asyncio.create_task(wire.run())
    try:
        yield wire
    finally:
        wire.is_over = True
        with contextlib.suppress(TimeoutError, nats.errors.Error, OSError):
            async with asyncio.timeout(1):
                while wire.waiting and client.is_connected:  # noqa: ASYNC110 - the library tells nobody
                    await asyncio.sleep(0.01)
        sending.cancel()
        with contextlib.suppress(TimeoutError, nats.errors.Error, OSError):
            async with asyncio.timeout(2):
                await client.close()
