"""A connection: bytes in, bytes and decisions out, without sockets (sections 1 and 2)."""

from __future__ import annotations

import json

import pytest
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from tickwire.model import Family
from tickwire.wire import Refused
from tickwire.wire.connection import Admit, Connection
from tickwire.wire.ret import TOO_MANY_CONNECTIONS
from tickwire.wire.session import Cancel, Session, Subscribe

from .peer import CANCEL, HEARTBEAT, OTHER, STOCK, SUBSCRIBE, Admissions, Peer, answers

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {
    "Host": "x",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def handshake(
    path: str, admit: Admit | None = None, headers: dict[str, str] | None = None, *, strict: bool = False
) -> Response:
    """What a hand-made upgrade request is answered; an empty header is left out."""
    named = {name: value for name, value in (HEADERS | (headers or {})).items() if value}
    out = Connection(admit or Admissions(), strict=strict).upgrade(Request(path, Headers(named)))
    head, _, body = b"".join(out).partition(b"\r\n\r\n")
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
    assert peer.connection.frames.open
    assert peer.connection.session is not None
    assert peer.connection.session.family is family


def test_before_its_handshake_a_connection_is_neither_open_nor_has_a_session() -> None:
    connection = Connection(Admissions())
    assert not connection.frames.open
    assert connection.session is None
    assert connection.frames.close(1001, "server shutdown") == []


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
    ("headers", "status"),
    [
        ({"Content-Length": "0"}, 101),
        ({"Content-Length": "5"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"X": "y" * 8000}, 101),
        ({"X": "y" * 9000}, 431),
    ],
)
def test_an_upgrade_has_no_body_and_no_header_that_is_too_long(headers: dict[str, str], status: int) -> None:
    admissions = Admissions()
    assert handshake(f"{OTHER}?token=t", admissions, headers).status_code == status
    assert bool(admissions.seen) is (status == 101)


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
    assert peer.connection.frames.open


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
