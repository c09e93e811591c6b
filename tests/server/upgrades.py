"""What RFC 6455, 4.2 says of the opening handshake, as cases: a head, and how it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..serving import OTHER_WS

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPTED = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""What section 1.3 says is answered to that key."""
FIELDS = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}
LINE = f"GET {OTHER_WS}?token=t HTTP/1.1"


@dataclass(frozen=True)
class Upgrade:
    """A head and its answer: the status, and what a header of it must be; None if there must be none."""

    name: str
    head: bytes
    status: int = 101
    header: tuple[str, str | None] = ("sec-websocket-accept", ACCEPTED)
    judged: str = ""


def head(line: str = LINE, *more: str, **fields: str | None) -> bytes:
    """An upgrade with other fields, named with _ for -; None leaves one out."""
    named = FIELDS | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in named.items() if value is not None]
    return "\r\n".join([line, *lines, *more, "", ""]).encode("latin-1")


def taken() -> Iterator[Upgrade]:
    """What is an upgrade."""
    yield Upgrade("as the RFC shows it", head())
    names = {name.lower(): value for name, value in FIELDS.items()}
    lower = "\r\n".join([LINE, *(f"{name}: {value}" for name, value in names.items()), "", ""])
    yield Upgrade("names of headers in lower case", lower.encode())
    upper = "\r\n".join([LINE, *(f"{name.upper()}: {value}" for name, value in FIELDS.items()), "", ""])
    yield Upgrade("names of headers in upper case", upper.encode())
    other = "\r\n".join([LINE, *(f"{name}: {value}" for name, value in reversed(FIELDS.items())), "", ""])
    yield Upgrade("headers in another order", other.encode())
    for value in ("WebSocket", "WEBSOCKET"):
        yield Upgrade(f"Upgrade: {value}", head(Upgrade=value))
    for value in ("upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade, keep-alive", "keep-alive,upgrade"):
        yield Upgrade(f"Connection: {value}", head(Connection=value))
    yield Upgrade("two Connection headers", head(LINE, "Connection: keep-alive"))
    yield Upgrade("blanks around values", head(Upgrade="  websocket \t", Connection="\t Upgrade  "))
    yield Upgrade("no blanks before values", head().replace(b": ", b":"))
    yield Upgrade("a target with scheme and host", head(f"GET http://127.0.0.1{OTHER_WS}?token=t HTTP/1.1"))
    fragment = head(f"GET {OTHER_WS}?token=t#x HTTP/1.1")
    yield Upgrade("a fragment in the target", fragment, judged="A target with a fragment")
    yield Upgrade("an Origin", head(Origin="https://example.com"))
    yield Upgrade("cookies", head(Cookie="a=b; c=d"))
    yield Upgrade("unknown headers", head(X_Something="else", Pragma="no-cache"))
    yield Upgrade("a body of no bytes", head(Content_Length="0"))
    yield Upgrade("a long header", head(X_Long="x" * 4000))


def negotiated() -> Iterator[Upgrade]:
    """4.2.2: extensions and subprotocols: nothing is answered that was not asked for."""
    extensions, protocol = "sec-websocket-extensions", "sec-websocket-protocol"
    yield Upgrade("no extension asked for", head(), 101, (extensions, None))
    for value in ("x-webkit-frame", "foo; bar=1, baz", 'foo; bar="quoted"'):
        asked = head(Sec_WebSocket_Extensions=value)
        yield Upgrade(f"extensions: {value}", asked, 101, (extensions, None))
    for value in ("foo; =", ";", "foo bar", 'foo; a="b c"'):
        asked = head(Sec_WebSocket_Extensions=value)
        yield Upgrade(
            f"extensions against the grammar: {value}",
            asked,
            101,
            (extensions, None),
            judged="Extensions against the grammar",
        )
    yield Upgrade("no subprotocol asked for", head(), 101, (protocol, None))
    for value in ("chat", "chat, superchat", "Tickwire"):
        asked = head(Sec_WebSocket_Protocol=value)
        yield Upgrade(f"subprotocols: {value}", asked, 101, (protocol, None))
    for value in ("tickwire", "chat, tickwire", "tickwire, chat", "tickwire, tickwire.token.dA"):
        asked = head(Sec_WebSocket_Protocol=value)
        yield Upgrade(f"subprotocols: {value}", asked, 101, (protocol, "tickwire"))
    asked = head(LINE, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: tickwire")
    yield Upgrade("subprotocols in two headers", asked, 101, (protocol, "tickwire"))


def refused() -> Iterator[Upgrade]:
    """What is none, and is answered with an error."""
    none = ("sec-websocket-accept", None)
    wanted = ("sec-websocket-version", "13")
    two = "An Upgrade that names another protocol too"
    for value in ("websocket, h2c", "h2c, websocket"):
        yield Upgrade(f"Upgrade: {value}", head(Upgrade=value), 426, none, judged=two)
    for other in (None, "", "h2c", "websockets", "web socket"):
        yield Upgrade(f"Upgrade: {other}", head(Upgrade=other), 426, none)
    for other in (None, "", "close", "keep-alive", "Upgrades"):
        yield Upgrade(f"Connection: {other}", head(Connection=other), 426, none)
    yield Upgrade("no key", head(Sec_WebSocket_Key=None), 400, none)
    for name, key in {
        "empty": "",
        "of 15 bytes": "AAAAAAAAAAAAAAAAAAAA",
        "of 17 bytes": "AAAAAAAAAAAAAAAAAAAAAAA=",
        "no Base64": "!!!!!!!!!!!!!!!!!!!!!!==",
        "without padding": KEY.rstrip("="),
        "of two": f"{KEY}, {KEY}",
        "with a blank": f"{KEY[:10]} {KEY[10:]}",
    }.items():
        yield Upgrade(f"a key {name}", head(Sec_WebSocket_Key=key), 400, none)
    yield Upgrade("two keys", head(LINE, f"Sec-WebSocket-Key: {KEY}"), 400, none)
    for other in (None, "", "0", "8", "12", "14", "abc", "013", "13, 8", "8, 13", "-13", "13.0"):
        yield Upgrade(f"version {other}", head(Sec_WebSocket_Version=other), 400, wanted)
    yield Upgrade("two versions", head(LINE, "Sec-WebSocket-Version: 8"), 400, wanted)
    for method in ("POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PATCH"):
        yield Upgrade(method, head(f"{method} {OTHER_WS}?token=t HTTP/1.1", Content_Length="0"), 405, none)
    yield Upgrade("HTTP/1.0", head(f"GET {OTHER_WS}?token=t HTTP/1.0"), 426, none)
    yield Upgrade("HTTP/2.0 in a line", head(f"GET {OTHER_WS}?token=t HTTP/2.0"), 426, none)
    yield Upgrade("no version of HTTP", head(f"GET {OTHER_WS}?token=t"), 426, none)
    yield Upgrade("no Host", head(Host=None), 400, none)
    yield Upgrade("two Hosts", head(LINE, "Host: 127.0.0.1"), 400, none)
    yield Upgrade("another Host in the target", head(f"GET http://x{OTHER_WS} HTTP/1.1"), 400, none)
    yield Upgrade("a line without a colon", head(LINE, "nonsense"), 400, none)
    yield Upgrade("a blank before a colon", head(LINE, "X-Header : y"), 400, none)
    yield Upgrade("a folded header", head(LINE, "X-Header: y", " z"), 400, none)
    yield Upgrade("a NUL in a value", head(X_Header="a\0b"), 400, none)
    yield Upgrade("a body", head(Content_Length="5") + b"hello", 400, none)
    yield Upgrade("a chunked body", head(Transfer_Encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n", 400, none)
    yield Upgrade("no token", head(f"GET {OTHER_WS} HTTP/1.1"), 401, none)
    yield Upgrade("an unknown path", head("GET /chat HTTP/1.1"), 404, none)


UPGRADES = [*taken(), *negotiated(), *refused()]
