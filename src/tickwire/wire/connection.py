"""The server's side of one client's WebSocket, without sockets: bytes and a time in, decisions and bytes out.

Here is the way from an upgrade to a session and from a message to its answer; see `frames` for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
from websockets.http11 import Request, Response

from ..model import Ending, Family
from .deviation import Deviation, Report
from .entry import WS_PATHS, base_of, page_token, parameters, token_of
from .flags import Flags, flags_of
from .form import PLAIN, Form, text_frame
from .frames import Frames, Message, Ping, refusal
from .messages import to_json
from .ret import PATH_UNKNOWN, TOKEN_REQUIRED, Refused
from .session import Ask, Decision, Session

Admit: TypeAlias = Callable[[Family | None, str], Session]
"""Opens a session for a token and the family of the path, None if it is no WebSocket's. Raises Refused."""


class Connection:
    """One client's WebSocket."""

    def __init__(
        self,
        admit: Admit,
        *,
        strict: bool = False,
        deflate: bool = False,
        heard: Callable[[str, str, Report], None] | None = None,
        answered: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`deflate` agrees to compressed messages. `heard` is told of every message: the path of the upgrade,
        the text, and what is not as documented in it; `answered` with which status the upgrade is answered.
        """
        self._admit: Admit | None = admit  # until the upgrade
        self._strict = strict
        self._heard = heard
        self._path = ""
        self.frames = Frames(self._enter, text_only=strict, deflate=deflate, answered=answered)
        self.flags = Flags()
        """What the client has said of the connection."""
        self.session: Session | None = None
        """None before the handshake and where it failed."""
        self._form = PLAIN
        self._asking: tuple[Message, Iterator[bytes | Message | Ping]] | None = None
        """What is decided once it was asked whether it may pass, and what came behind it."""

    def end(self) -> None:
        """The socket is closed."""
        self._admit = self._heard = self._asking = None
        self.frames.end()

    @property
    def form(self) -> Form:
        """In which form the client is sent pushes."""
        marked = self.session is not None and self.session.marked
        if (self._form.deflated, self._form.marked) != (self.frames.deflated, marked):
            self._form = self.flags.form(deflated=self.frames.deflated, marked=marked)
        return self._form

    def set(self, flags: Flags) -> None:
        """What the client says of the connection from now on."""
        self.flags = flags
        self._form = flags.form(deflated=self._form.deflated, marked=self._form.marked)
        self.frames.text_only = self._strict and not self.form.packed

    def overdue(self, now: float) -> tuple[str, Ending] | None:
        """Why the connection must be closed with 1008, if it must: a sentence, and a word."""
        if self.session is not None and self.session.overdue(now):
            self.session.report.note(Deviation.HEARTBEAT_TIMEOUT)
            return "heartbeat timeout", Ending.HEARTBEAT
        if self.frames.overdue(now):
            return "a message was not completed in time", Ending.UNFINISHED
        return None

    def forgive(self, now: float) -> None:
        """A heartbeat that comes now is in time, however late it is: the server was held up."""
        if self.session is not None:
            self.session.forgive(now)

    def claims(self, request: Request) -> tuple[Family, str] | None:
        """The family and the token that a request of an upgrade speaks of; None if it is refused anyhow."""
        path, _, query = request.path.partition("?")
        token = token_of(parameters(query.encode()).token, _headers(request), strict=self._strict)
        family = WS_PATHS.get(path)
        return None if family is None or token is None else (family, token)

    def upgrade(self, request: Request) -> list[bytes]:
        """The request of the upgrade came: what to write, as of `receive`."""
        return self.frames.upgrade(request)

    def receive(self, data: bytes, now: float) -> list[bytes | Decision]:
        """Bytes came behind it: what to write and what to carry out, in order.

        Empty bytes mean: close the sending side.
        """
        return self._go_through(self.frames.receive(data, now), now)

    def go_on(self, now: float, *, granted: bool) -> list[bytes | Decision]:
        """What was asked of the last decision (Ask) was granted, or not: what follows, as of `receive`."""
        assert self._asking is not None  # noqa: S101  # whoever was asked answers once
        assert self.session is not None  # noqa: S101
        (message, rest), self._asking = self._asking, None
        return self._answer(message, self.session, now, granted=granted) + self._go_through(rest, now)

    def _go_through(self, items: Iterator[bytes | Message | Ping], now: float) -> list[bytes | Decision]:
        out: list[bytes | Decision] = []
        failed = self.frames.failure
        for item in items:
            if isinstance(item, bytes):
                out.append(item)
            elif self.session is not None:
                if isinstance(item, Ping):
                    self.session.ping(now)
                elif self.frames.open:
                    out += self._answer(item, self.session, now)
                    if out and isinstance(out[-1], Ask):  # what follows waits
                        self._asking = item, items
                        break
        if self.session is not None and (code := self.frames.failure) not in (None, failed):
            self.session.report.note(Deviation.BROKEN_FRAME, f"{code:d}")
        return out

    def _answer(
        self, message: Message, session: Session, now: float, *, granted: bool | None = None
    ) -> list[bytes | Decision]:
        form, data = self.form, message.data
        if message.binary and form.packed:
            data = _unpacked(data)
        answer = session.receive(data, now, granted=granted)
        if isinstance(answer.decision, Ask):
            return [answer.decision]
        if message.binary and not form.packed:
            answer.noted.note(Deviation.BINARY_FRAME)
            session.report.note(Deviation.BINARY_FRAME)
        if self._heard is not None:
            self._heard(self._path, data.decode(errors="replace"), answer.noted)
        said: list[bytes | Decision] = []
        if answer.reply and form.packed:
            said = [*self.frames.waiting(), form.told(text_frame(answer.reply))]
        elif answer.reply:
            self.frames.send(answer.reply)
        said += self.frames.waiting()
        return said if answer.decision is None else [*said, answer.decision]

    def _enter(self, request: Request) -> Response | None:
        """Opens the session, or makes the response that refuses the connection."""
        path, _, query = request.path.partition("?")
        self._path = path
        if base_of(path) is None:
            return refusal(PATH_UNKNOWN)
        headers, asked = _headers(request), parameters(query.encode())
        token = token_of(asked.token, headers, strict=self._strict)
        if token is None:
            return refusal(TOKEN_REQUIRED)
        admit, self._admit = self._admit, None
        assert admit is not None  # noqa: S101  # there is one upgrade
        try:
            flags = flags_of(query)
            self.session = admit(WS_PATHS.get(path), token)
        except Refused as refused:
            return refusal(refused.ret, refused.retry_after)
        self.set(flags)
        if not asked.token and not page_token(headers):
            self.session.report.note(Deviation.TOKEN_IN_HEADER)
        return None


def _headers(request: Request) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in request.headers.raw_items()]


def _unpacked(data: bytes) -> bytes:
    """A message of msgpack as JSON; what is none, as it is."""
    try:
        return to_json(msgspec.msgpack.decode(data))
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return data
