"""A client of `websockets`, joined to a connection without sockets."""

from __future__ import annotations

import json
from collections.abc import Iterable

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tickwire.model import Family, Instrument, Kind
from tickwire.store import load_catalogue
from tickwire.wire import CODE_INVALID, Decision, Refused, Report, Ret, Sought, Want
from tickwire.wire.connection import Connection
from tickwire.wire.ret import QUERY_INVALID, TOKEN_INVALID
from tickwire.wire.session import Dialect, Permit, Session

CATALOGUE = load_catalogue()
STOCK, OTHER = "/quote-stock-b-ws-api", "/quote-b-ws-api"
HEARTBEAT = b'{"cmd_id":22000,"seq_id":1,"trace":"t","data":{}}'
SUBSCRIBE = b'{"cmd_id":22004,"seq_id":1,"trace":"t","data":{"symbol_list":[{"code":"GOLD"}]}}'
CANCEL = b'{"cmd_id":22006,"seq_id":1,"trace":"t","data":{"cancel_type":0}}'
PLAIN = Dialect()


class Everything:
    """A permit for everything; what is not known does not exist."""

    def answer(self, cmd_id: int) -> Ret | None:
        return None

    def subscribe(self, cmd_id: int, now: float) -> bool:
        return True

    def objection(self, instrument: Instrument) -> Ret | None:
        return None

    def seek(self, family: Family, name: str) -> Ret | None:
        return CODE_INVALID

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        return wants


def session_of(
    permit: Permit | None = None,
    dialect: Dialect = PLAIN,
    family: Family = Family.OTHER,
    now: float = 0.0,
) -> Session:
    """A session with that permit, or one for everything."""
    return Session(family, CATALOGUE, now, dialect, permit or Everything(), Report())


class Admissions:
    """Opens a session for every token but `bad` on the paths of WebSockets, and remembers who asked."""

    def __init__(self, dialect: Dialect = PLAIN) -> None:
        self.dialect = dialect
        self.seen: list[tuple[Family | None, str]] = []

    def __call__(self, family: Family | None, token: str) -> Session:
        self.seen.append((family, token))
        if token == "bad":
            raise Refused(TOKEN_INVALID)
        if family is None:
            raise Refused(QUERY_INVALID)
        return session_of(dialect=self.dialect, family=family)


def request_of(head: bytes) -> Request:
    """The request of an upgrade, as `websockets` reads it."""
    theirs = ServerProtocol()
    theirs.receive_data(head)
    (request,) = theirs.events_received()
    assert isinstance(request, Request)
    return request


class Peer:
    """A client of `websockets`, joined to a connection."""

    def __init__(self, path: str = f"{OTHER}?token=t", *, strict: bool = False) -> None:
        self.admissions = Admissions(Dialect(strict_protocol=strict))
        self.connection = Connection(self.admissions, strict=strict)
        self.client = ClientProtocol(parse_uri(f"ws://x{path}"), max_size=None)
        self.out: list[bytes | Decision] = []
        self.out += self.connection.upgrade(self.client.connect())
        self.response = self.read()[0]

    def exchange(self, *, piece: int | None = None, now: float = 1.0) -> list[object]:
        """Carries what the client has to say, in pieces of that size; returns what it reads."""
        data = b"".join(self.client.data_to_send())
        for part in [data] if piece is None else [data[at : at + piece] for at in range(0, len(data), piece)]:
            self.out += self.connection.receive(part, now)
        return self.read()

    def read(self) -> list[object]:
        written, self.unread = self.out[getattr(self, "unread", 0) :], len(self.out)
        for item in written:
            if isinstance(item, bytes) and item:
                self.client.receive_data(item)
        return [*self.client.events_received()]

    @property
    def decisions(self) -> list[Decision]:
        return [item for item in self.out if not isinstance(item, bytes)]


def answers(events: Iterable[object]) -> list[int]:
    """The `ret` of each answer."""
    found = []
    for event in events:
        assert isinstance(event, Frame)
        if event.opcode is Opcode.TEXT:
            found.append(json.loads(bytes(event.data))["ret"])
    return found
