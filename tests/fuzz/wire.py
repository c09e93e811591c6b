"""What is fuzzed of the wire: each target takes any bytes, and raises only where something is wrong.

What it may raise of what is bad, it takes as an answer; whatever else is a find.
"""

from __future__ import annotations

import json
from decimal import Decimal

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderValue
from websockets.http11 import Request

from tickwire.klines import Tape
from tickwire.model import Family, Trade
from tickwire.sources.correctable import Correctable
from tickwire.sources.published_lines import PublishedLines
from tickwire.sources.replay import QuoteTrades
from tickwire.wire import Unfit, read_published, upstream
from tickwire.wire.connection import Connection
from tickwire.wire.publish import InstrumentLine, Lines
from tickwire.wire.session import ANSWERED, Dialect

from ..wire.peer import CATALOGUE, OTHER, Admissions, request_of, session_of

ANSWER = {"ret", "msg", "cmd_id", "seq_id", "trace", "data"}
NOW = 1_794_839_400_000
"""The wall clock, in milliseconds."""
UPGRADE = request_of(
    (
        f"GET {OTHER}?token=t HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()
)


def session(data: bytes) -> None:
    """Messages, one a line; the first byte chooses the dialect."""
    strict, family = bool(data[:1] and data[0] & 1), Family.STOCK if data[:1] > b"\x7f" else Family.OTHER
    one = session_of(dialect=Dialect(strict_protocol=strict), family=family)
    for number, text in enumerate(data[1:].split(b"\n")):
        receipt = one.receive(text, float(number))
        if isinstance(receipt.decision, ANSWERED):
            assert not receipt.reply, receipt
            continue
        answer = json.loads(receipt.reply)
        assert set(answer) == ANSWER
        assert answer["ret"] in (200, 400, 600, 606)


def frames(data: bytes) -> None:
    """Bytes behind an upgrade: what they come to is the same in one piece and in many."""
    size = data[0] % 16 + 1 if data else 1
    whole, parted = (heard(pieces) for pieces in ([data[1:]], _pieces(data[1:], size)))
    assert whole == parted, (whole, parted)


def heard(pieces: list[bytes]) -> bytes:
    """What is written to a client whose upgrade these follow."""
    one = Connection(Admissions(), strict=False)
    one.upgrade(UPGRADE)
    said: list[bytes] = []
    for piece in pieces:
        said += [item for item in one.receive(piece, 1.0) if isinstance(item, bytes)]
    return b"".join(said)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def head(data: bytes) -> None:
    """An upgrade whose target and headers are these lines, and what follows it."""
    head, _, behind = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, target = line.removesuffix(" HTTP/1.1").partition(" ")
    try:
        headers = Headers([(field.partition(":")[0], field.partition(":")[2].strip()) for field in fields])
    except InvalidHeaderValue:
        return
    one = Connection(Admissions())
    out = [*one.upgrade(Request(target, headers, method)), *one.receive(behind, 0.0)]
    said = b"".join(item for item in out if isinstance(item, bytes))
    assert said.startswith(b"HTTP/1.1 ")
    assert not said.startswith(b"HTTP/1.1 500")


def published(data: bytes) -> None:
    """Lines of a publisher."""
    lines = PublishedLines(CATALOGUE, QuoteTrades.MID, Correctable(Tape(CATALOGUE), lambda *_: None))
    cut = Lines()
    for text in (*cut.feed(data), *cut.end()):
        try:
            line = read_published(text)
            if isinstance(line, InstrumentLine):
                lines.definition(line)
            elif hasattr(line, "trade"):
                continue
            else:
                for event in lines.events(line, NOW):
                    assert not isinstance(event, Trade) or abs(event.price) < Decimal(10) ** 21
        except Unfit:
            pass


def relayed(data: bytes) -> None:
    """A frame of an upstream."""
    upstream.read(data)
