"""A connection: bytes in, bytes and decisions out, without sockets (sections 1 and 2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from tickwire.model import Family
from tickwire.store import load_catalogue
from tickwire.wire import (
    MAX_MESSAGE,
    PLAIN,
    QUERY_INVALID,
    TOKEN_INVALID,
    TOO_MANY_CONNECTIONS,
    Cancel,
    Decision,
    Dialect,
    Refused,
    Session,
    Subscribe,
)
from tickwire.wire.connection import Admit, Connection

CATALOGUE = load_catalogue()
STOCK, OTHER = "/quote-stock-b-ws-api", "/quote-b-ws-api"
HEARTBEAT = b'{"cmd_id":22000,"seq_id":1,"trace":"t","data":{}}'
SUBSCRIBE = b'{"cmd_id":22004,"seq_id":1,"trace":"t","data":{"symbol_list":[{"code":"GOLD"}]}}'
CANCEL = b'{"cmd_id":22006,"seq_id":1,"trace":"t","data":{"cancel_type":0}}'
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


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
        return Session(family, CATALOGUE, 0.0, self.dialect)


class Peer:
    """A client of `websockets`, joined to a connection."""

    def __init__(self, path: str = f"{OTHER}?token=t", *, strict: bool = False) -> None:
        self.admissions = Admissions(Dialect(strict_protocol=strict))
        self.connection = Connection(self.admissions, strict=strict)
        self.client = ClientProtocol(parse_uri(f"ws://x{path}"), max_size=None)
        self.out: list[bytes | Decision] = []
        self.client.send_request(self.client.connect())
        self.response = self.exchange()[0]

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


def closed_with(peer: Peer) -> int | None:
    return peer.client.close_rcvd.code if peer.client.close_rcvd else None


def handshake(
    path: str, admit: Admit | None = None, headers: dict[str, str] | None = None, *, strict: bool = False
) -> Response:
    """What a hand-made upgrade request is answered; an empty header is left out."""
    lines = [f"GET {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in (HEADERS | (headers or {})).items() if value]
    out = Connection(admit or Admissions(), strict=strict).receive(
        "\r\n".join([*lines, "", ""]).encode(), 0.0
    )
    head, _, body = b"".join(item for item in out if isinstance(item, bytes)).partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers_back = Headers([(field.partition(": ")[0], field.partition(": ")[2]) for field in fields])
    response = Response(int(status.split()[1]), status.split(" ", 2)[2], headers_back, body)
    if response.status_code != 101:
        assert out[-1] == b"", "the sending side is closed"
        assert response.headers["Content-Length"] == str(len(body))
        assert response.headers["Content-Type"] == "application/json"
        assert json.loads(body).keys() == {"msg", "trace", "ret"}
    return response


# Handshakes.
@pytest.mark.parametrize(("path", "family"), [(STOCK, Family.STOCK), (OTHER, Family.OTHER)])
def test_a_handshake_opens_a_session_of_the_path_s_family(path: str, family: Family) -> None:
    peer = Peer(f"{path}?token=a%20b&x=1")
    assert isinstance(peer.response, Response)
    assert peer.response.status_code == 101
    assert peer.admissions.seen == [(family, "a b")]
    assert peer.connection.open
    assert peer.connection.session is not None
    assert peer.connection.session.family is family


def test_before_its_handshake_a_connection_is_neither_open_nor_has_a_session() -> None:
    connection = Connection(Admissions())
    assert connection.receive(b"GET /quote-b-ws-api?tok", 0.0) == []
    assert not connection.open
    assert connection.session is None
    assert connection.close(1001, "server shutdown") == []


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer h"}, {"token": "h"}])
def test_a_token_in_a_header_is_taken_unless_strict(headers: dict[str, str]) -> None:
    admissions = Admissions()
    assert handshake(OTHER, admissions, headers).status_code == 101
    assert admissions.seen == [(Family.OTHER, "h")]
    assert handshake(OTHER, admissions, headers, strict=True).status_code == 401


def test_a_page_s_token_comes_as_a_subprotocol_and_ours_is_answered() -> None:
    admissions = Admissions()
    response = handshake(OTHER, admissions, {"Sec-WebSocket-Protocol": "tickwire, tickwire.token.YSBi"})
    assert response.status_code == 101
    assert response.headers["Sec-WebSocket-Protocol"] == "tickwire"
    assert admissions.seen == [(Family.OTHER, "a b")]


@pytest.mark.parametrize("offered", ["chat", "chat, tickwire.token.eA"])
def test_whoever_asks_for_another_subprotocol_goes_on_without_one(offered: str) -> None:
    response = handshake(f"{OTHER}?token=t", None, {"Sec-WebSocket-Protocol": offered})
    assert response.status_code == 101
    assert "Sec-WebSocket-Protocol" not in response.headers


REQUIRED = b'{"msg":"token is required","trace":"","ret":401}'
INVALID = b'{"msg":"token invalid","trace":"","ret":401}'
FULL = b'{"msg":"too many connections","trace":"","ret":429}'
UNKNOWN = b'{"msg":"query invalid","trace":"","ret":402}'


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        (OTHER, 401, REQUIRED),
        (f"{STOCK}?token=", 401, REQUIRED),
        (f"{OTHER}?token=%ff", 401, REQUIRED),
        (f"{OTHER}?Token=t", 401, REQUIRED),
        (f"{OTHER}/x", 401, REQUIRED),
        (f"{OTHER}?token=bad", 401, INVALID),
        (f"{OTHER}/x?token=bad", 401, INVALID),
        (f"{OTHER}/x?token=t", 402, UNKNOWN),
        (f"{STOCK}/?token=t", 402, UNKNOWN),
        ("/quote-b-api?token=t", 402, UNKNOWN),
        ("/api/suspension/sse?token=t", 402, UNKNOWN),
    ],
)
def test_a_refused_handshake_has_the_status_and_body_of_http(path: str, status: int, body: bytes) -> None:
    response = handshake(path)
    assert (response.status_code, response.body) == (status, body)
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/nosuch?token=t", "/quote-b-ws-apix?token=t", "/healthz"])
def test_a_path_that_is_none_of_the_protocol_s_is_not_found(path: str) -> None:
    assert handshake(path).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": ""}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "close"}, 426),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Version": ""}, 400),
        ({"Sec-WebSocket-Version": "8"}, 400),
    ],
)
def test_a_broken_handshake_is_refused_before_the_token_is_looked_at(
    headers: dict[str, str], status: int
) -> None:
    admissions = Admissions()
    response = handshake(f"{OTHER}?token=t", admissions, headers)
    assert response.status_code == status
    assert json.loads(response.body or b"")["ret"] == status
    assert admissions.seen == []


@pytest.mark.parametrize(
    "request_",
    [b"hello\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n", b"\x00" * 64 + b"\r\n", b"GET /" + b"x" * 70_000],
)
def test_what_is_no_request_ends_the_connection(request_: bytes) -> None:
    connection = Connection(Admissions())
    out = connection.receive(request_, 0.0)
    assert out[-1] == b""
    assert connection.session is None
    assert connection.receive(b"more", 0.0) == []


@pytest.mark.parametrize(("wait", "shown"), [(None, None), (0.001, "1"), (2.0, "2"), (2.001, "3")])
def test_a_refusal_says_when_to_try_again_if_that_is_known(wait: float | None, shown: str | None) -> None:
    def full(_: Family | None, __: str) -> Session:
        raise Refused(TOO_MANY_CONNECTIONS, wait)

    response = handshake(f"{OTHER}?token=t", full)
    assert (response.status_code, response.body) == (429, FULL)
    assert response.headers.get("Retry-After") == shown


def test_after_a_refusal_nothing_more_is_heard() -> None:
    peer = Peer(f"{OTHER}?token=bad")
    assert isinstance(peer.response, Response)
    assert peer.response.status_code == 401
    before = len(peer.out)
    frame = Frame(Opcode.TEXT, HEARTBEAT).serialize(mask=True)
    peer.out += peer.connection.receive(frame, 1.0)
    assert peer.out[before:] == []
    assert peer.connection.session is None


def test_a_message_in_the_same_bytes_as_the_handshake_is_answered_after_it() -> None:
    admissions = Admissions()
    request = f"GET {OTHER}?token=t HTTP/1.1\r\n" + "".join(
        f"{name}: {text}\r\n" for name, text in HEADERS.items()
    )
    data = f"{request}\r\n".encode() + Frame(Opcode.TEXT, HEARTBEAT).serialize(mask=True)
    written = b"".join(item for item in Connection(admissions).receive(data, 0.0) if isinstance(item, bytes))
    assert written.startswith(b"HTTP/1.1 101 ")
    assert b'\r\n\r\n\x81F{"ret":200,' in written


# Messages.
def test_an_acknowledgement_goes_before_what_its_decision_brings() -> None:
    peer = Peer()
    start = len(peer.out)
    for message in (SUBSCRIBE, HEARTBEAT, CANCEL):
        peer.client.send_text(message)
    assert answers(peer.exchange()) == [200, 200, 200]
    kinds = [item if isinstance(item, bytes) else type(item) for item in peer.out[start:]]
    assert [kind for kind in kinds if not isinstance(kind, bytes)] == [Subscribe, Cancel]
    assert isinstance(kinds[0], bytes)
    assert b'"cmd_id":22005' in kinds[0]
    assert kinds[1] is Subscribe
    assert isinstance(kinds[-2], bytes)
    assert b'"cmd_id":22007' in kinds[-2]


@pytest.mark.parametrize("message", [b"hello", b"", b"{}", b"[" * 100_000])
def test_an_error_leaves_the_connection_open(message: bytes) -> None:
    peer = Peer()
    peer.client.send_text(message)
    assert answers(peer.exchange()) == [400]
    peer.client.send_text(HEARTBEAT)
    assert answers(peer.exchange()) == [200]
    assert peer.connection.open


@pytest.mark.parametrize("piece", [1, 2, 7])
def test_bytes_may_come_in_any_pieces(piece: int) -> None:
    peer = Peer()
    for message in (SUBSCRIBE, HEARTBEAT):
        peer.client.send_text(message)
    peer.client.send_ping(b"p")
    peer.client.send_text(CANCEL)
    events = peer.exchange(piece=piece)
    assert answers(events) == [200, 200, 200]
    assert Opcode.PONG in [event.opcode for event in events if isinstance(event, Frame)]
    assert [type(decision) for decision in peer.decisions] == [Subscribe, Cancel]


def test_even_a_handshake_may_come_byte_by_byte() -> None:
    connection = Connection(Admissions())
    client = ClientProtocol(parse_uri(f"ws://x{OTHER}?token=t"))
    client.send_request(client.connect())
    data = b"".join(client.data_to_send())
    outs = [connection.receive(data[at : at + 1], 0.0) for at in range(len(data))]
    assert [out for out in outs[:-1] if out] == []
    assert connection.open


def test_a_ping_between_fragments_is_answered_at_once_and_the_message_is_whole() -> None:
    peer = Peer()
    peer.client.send_text(SUBSCRIBE[:20], fin=False)
    peer.client.send_ping(b"now")
    pongs = [event for event in peer.exchange() if isinstance(event, Frame)]
    assert [(pong.opcode, pong.data) for pong in pongs] == [(Opcode.PONG, b"now")]
    peer.client.send_continuation(b"", fin=False)
    peer.client.send_continuation(SUBSCRIBE[20:], fin=True)
    assert answers(peer.exchange()) == [200]
    assert [type(decision) for decision in peer.decisions] == [Subscribe]


def test_fragments_of_one_message_do_not_reach_the_next() -> None:
    peer = Peer()
    for _ in range(2):
        peer.client.send_text(HEARTBEAT[:9], fin=False)
        peer.client.send_continuation(HEARTBEAT[9:], fin=True)
        peer.client.send_text(HEARTBEAT)
    assert answers(peer.exchange()) == [200] * 4


@pytest.mark.parametrize(("strict", "overdue_at"), [(False, 55.0), (True, 30.0)])
def test_a_ping_keeps_a_lenient_session_alive(strict: bool, overdue_at: float) -> None:
    peer = Peer(strict=strict)
    peer.client.send_ping(b"")
    peer.exchange(now=25.0)
    session = peer.connection.session
    assert session is not None
    assert not session.overdue(overdue_at - 0.001)
    assert session.overdue(overdue_at)


def test_a_message_is_heard_at_the_time_it_came() -> None:
    peer = Peer()
    peer.client.send_text(HEARTBEAT)
    peer.exchange(now=25.0)
    session = peer.connection.session
    assert session is not None
    assert not session.overdue(54.999)
    assert session.overdue(55.0)


# Text that is not UTF-8.
TRACE = '{"cmd_id":22000,"trace":"跟"}'.encode()
CUT = TRACE.index("跟".encode()) + 1


def whole(data: bytes) -> Callable[[Peer], None]:
    return lambda peer: peer.client.send_text(data)


def split(data: bytes, at: int) -> Callable[[Peer], None]:
    def send(peer: Peer) -> None:
        peer.client.send_text(data[:at], fin=False)
        peer.client.send_continuation(data[at:], fin=True)

    return send


BROKEN = TRACE[:CUT] + TRACE[CUT + 1 :]


@pytest.mark.parametrize(
    "send",
    [whole(b"\xff"), whole(b"\xed\xa0\x80"), whole(BROKEN), split(BROKEN, CUT), split(b"\xff\xff", 1)],
)
@pytest.mark.parametrize("strict", [False, True])
def test_text_that_is_not_utf_8_closes_with_1007(send: Callable[[Peer], None], strict: bool) -> None:
    peer = Peer(strict=strict)
    send(peer)
    peer.client.send_text(SUBSCRIBE)
    assert answers(peer.exchange()) == []
    assert closed_with(peer) == 1007
    assert not peer.connection.open
    assert peer.decisions == []
    assert peer.out[-1] == b""


def test_a_character_may_be_split_across_fragments() -> None:
    peer = Peer()
    split(TRACE, CUT)(peer)
    assert answers(peer.exchange()) == [200]


# The longest message.
def padded(size: int) -> bytes:
    return HEARTBEAT + b" " * (size - len(HEARTBEAT))


@pytest.mark.parametrize(
    "send", [whole(padded(2**20)), split(padded(2**20), 2**19)], ids=["whole", "fragments"]
)
def test_a_message_of_one_mebibyte_is_taken(send: Callable[[Peer], None]) -> None:
    assert MAX_MESSAGE == 2**20
    peer = Peer()
    send(peer)
    assert answers(peer.exchange()) == [200]


@pytest.mark.parametrize(
    "send", [whole(padded(2**20 + 1)), split(padded(2**20 + 1), 2**19)], ids=["whole", "fragments"]
)
def test_one_byte_more_closes_with_1009(send: Callable[[Peer], None]) -> None:
    peer = Peer()
    send(peer)
    assert answers(peer.exchange()) == []
    assert closed_with(peer) == 1009
    assert not peer.connection.open


@pytest.mark.parametrize("piece", [1_000, 70_000, 2**21])
def test_a_message_too_long_is_read_to_its_end_before_our_side_ends(piece: int) -> None:
    peer = Peer()
    peer.client.send_text(padded(2**20 + 4_097))
    (data,) = peer.client.data_to_send()
    parts = [data[at : at + piece] for at in range(0, len(data), piece)]
    ends = [b"" in peer.connection.receive(part, 1.0) for part in parts]
    assert ends == [False] * (len(parts) - 1) + [True]
    assert peer.connection.closing
    peer.client.send_close(1009)
    assert peer.connection.receive(b"".join(peer.client.data_to_send()), 1.0) == []


def test_the_bound_is_one_message_s_not_the_connection_s() -> None:
    peer = Peer()
    for _ in range(3):
        split(padded(2**20), 2**19)(peer)
    assert answers(peer.exchange()) == [200] * 3


# Binary frames.
def test_binary_is_read_as_text_is_unless_strict() -> None:
    lenient, strict = Peer(), Peer(strict=True)
    for peer in (lenient, strict):
        peer.client.send_binary(SUBSCRIBE)
    assert answers(lenient.exchange()) == [200]
    assert [type(decision) for decision in lenient.decisions] == [Subscribe]
    assert answers(strict.exchange()) == []
    assert closed_with(strict) == 1003
    assert strict.decisions == []


def test_binary_that_is_not_utf_8_is_no_json() -> None:
    peer = Peer()
    peer.client.send_binary(b"\xff")
    assert answers(peer.exchange()) == [400]
    assert peer.connection.open


def test_binary_in_fragments_is_binary_to_the_end() -> None:
    peer = Peer(strict=True)
    peer.client.send_binary(HEARTBEAT[:9], fin=False)
    peer.client.send_continuation(HEARTBEAT[9:], fin=True)
    peer.exchange()
    assert closed_with(peer) == 1003


# Closing.
def test_the_server_closes_with_code_and_reason_once() -> None:
    peer = Peer()
    peer.out += peer.connection.close(1008, "heartbeat timeout")
    peer.read()
    assert peer.client.close_rcvd is not None
    assert (peer.client.close_rcvd.code, peer.client.close_rcvd.reason) == (1008, "heartbeat timeout")
    assert not peer.connection.open
    assert peer.connection.close(1001, "again") == []


def test_after_the_server_s_close_requests_are_not_heard() -> None:
    peer = Peer()
    peer.connection.close(1001, "server shutdown")
    peer.client.send_text(SUBSCRIBE)
    assert answers(peer.exchange()) == []
    assert peer.decisions == []


def test_a_client_s_close_is_echoed_and_ends_the_sending_side() -> None:
    peer = Peer()
    peer.client.send_close(1000, "bye")
    peer.exchange()
    assert closed_with(peer) == 1000
    assert peer.out[-1] == b""
    assert not peer.connection.open


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Opcode.TEXT, HEARTBEAT).serialize(mask=False),
        Frame(Opcode.CONT, b"x").serialize(mask=True),
        b"\xc1\x80\x00\x00\x00\x00",
        b"\x83\x80\x00\x00\x00\x00",
        b"\x09\x80\x00\x00\x00\x00",
    ],
    ids=["not masked", "nothing to continue", "reserved bit", "reserved opcode", "ping in fragments"],
)
def test_a_frame_against_the_rules_closes_with_1002(frame: bytes) -> None:
    peer = Peer()
    peer.out += peer.connection.receive(frame, 1.0)
    peer.read()
    assert closed_with(peer) == 1002
    assert not peer.connection.open


def test_outputs_are_never_empty_but_for_the_end() -> None:
    peer = Peer()
    for message in (SUBSCRIBE, HEARTBEAT, b"x"):
        peer.client.send_text(message)
    peer.client.send_close(1000, "")
    peer.exchange()
    ends = [at for at, item in enumerate(peer.out) if item == b""]
    assert ends == [len(peer.out) - 1]
