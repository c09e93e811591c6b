"""What RFC 6455 says of frames, as cases: what a client sends, and what must come of it.

The sections are the RFC's. A case that is `judged` ends otherwise than the RFC would have it, or where it
leaves the choice: a row of docs/websocket.md by that name says why.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from ..serving import masked

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROL = {"close": CLOSE, "ping": PING, "pong": PONG}
NORMAL, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1002, 1007, 1009
NO_CODE = 1005
"""Stands for a close frame without a code (7.1.5)."""
MOST = 2**20
"""Bytes of the longest message that is taken."""


@dataclass(frozen=True)
class Whole:
    """A message of so many bytes, of which an answer shows that it arrived as it was sent."""

    size: int = 200


@dataclass(frozen=True)
class Part:
    """A part of a message as a frame: the whole of it, from where to where."""

    whole: Whole
    begin: int
    end: int
    opcode: int
    fin: bool


@dataclass(frozen=True)
class Spoken:
    """A text in a message around it, cut at that many places; each part is a frame."""

    text: bytes
    cuts: tuple[int, ...] = ()
    opcode: int = TEXT


Sent: TypeAlias = bytes | Whole | Part | Spoken


@dataclass(frozen=True)
class Case:
    """What is sent, one thing after the other, and what comes of it.

    `closes` is the code that the server closes with, None if the connection goes on; `whole` says how many
    messages are answered; `pongs` are what comes of pings. A `cut` one ends within a frame, where the server
    would wait for the rest.
    """

    section: str
    name: str
    sent: tuple[Sent, ...]
    closes: int | None = None
    whole: int = 0
    pongs: tuple[bytes, ...] = ()
    judged: str = ""
    cut: bool = False

    @property
    def id(self) -> str:
        """How a test is called that runs it."""
        return f"{self.section} {self.name}"


def frame(first: int, payload: bytes = b"", *, form: int = 0, mask: bool = True) -> bytes:
    """A frame whose length is written in that many bytes behind the first seven bits; in the fewest if 0."""
    size = len(payload)
    length = size if form == 0 and size < 126 else 126 if form == 2 or (form == 0 and size < 2**16) else 127
    told = {126: size.to_bytes(2), 127: size.to_bytes(8)}.get(length, b"")
    if not mask:
        return bytes((first, length)) + told + payload
    key = os.urandom(4)
    mixed = bytes(one ^ key[at % 4] for at, one in enumerate(payload))
    return bytes((first, 0x80 | length)) + told + key + mixed


def closing(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, code.to_bytes(2) + reason)


def parts(whole: Whole, size: int, opcode: int = TEXT) -> Iterator[Part]:
    """A message in fragments of that size."""
    for begin in range(0, whole.size, size):
        end = min(begin + size, whole.size)
        yield Part(whole, begin, end, CONT if begin else opcode, end == whole.size)


def split(*ends: int, whole: Whole = Whole()) -> list[Part]:
    """A message in fragments that end there; the last one at its end."""
    begins = [0, *ends]
    return [
        Part(whole, begin, end, CONT if number else TEXT, number == len(ends))
        for number, (begin, end) in enumerate(zip(begins, [*ends, whole.size], strict=True))
    ]


# Which texts are UTF-8 (RFC 3629).
VALID = {
    "ASCII": b"plain",
    "two bytes": "äöüß".encode(),
    "three bytes": "中文€".encode(),
    "four bytes": "🚀𝄞".encode(),
    "Greek": "κόσμε".encode(),
    "a byte-order mark": b"\xef\xbb\xbfx",
    "U+0080": b"\xc2\x80",
    "U+07FF": b"\xdf\xbf",
    "U+0800": b"\xe0\xa0\x80",
    "U+D7FF": b"\xed\x9f\xbf",
    "U+E000": b"\xee\x80\x80",
    "U+FFFD": b"\xef\xbf\xbd",
    "U+FFFE": b"\xef\xbf\xbe",
    "U+FFFF": b"\xef\xbf\xbf",
    "U+10000": b"\xf0\x90\x80\x80",
    "U+10FFFF": b"\xf4\x8f\xbf\xbf",
}
INVALID = {
    "a continuation alone": b"\x80",
    "the last continuation alone": b"\xbf",
    "two continuations": b"\x80\xbf",
    "one byte of two": b"\xc2x",
    "one byte of three": b"\xe4x",
    "two bytes of three": b"\xe4\xb8x",
    "one byte of four": b"\xf0x",
    "three bytes of four": b"\xf0\x9f\x9ax",
    "Latin-1": b"\xe9t\xe9",
    "a slash in two bytes": b"\xc0\xaf",
    "a slash in three bytes": b"\xe0\x80\xaf",
    "a slash in four bytes": b"\xf0\x80\x80\xaf",
    "NUL in two bytes": b"\xc0\x80",
    "U+007F in two bytes": b"\xc1\xbf",
    "U+07FF in three bytes": b"\xe0\x9f\xbf",
    "U+FFFF in four bytes": b"\xf0\x8f\xbf\xbf",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xb8\x80",
    "U+110000": b"\xf4\x90\x80\x80",
    "U+140000": b"\xf5\x80\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
}
CODES = {  # 7.4: of a close frame
    True: (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999),
    False: (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65535),
}


def framing() -> Iterator[Case]:
    """5.1, 5.2: masks, flags, opcodes, lengths."""
    beat = Whole()
    for name, opcode in {"text": TEXT, "binary": BINARY, **CONTROL}.items():
        sent = frame(0x80 | opcode, b"\x03\xe8" if opcode == CLOSE else b"hello", mask=False)
        yield Case("5.1", f"{name} without a mask", (sent,), PROTOCOL_ERROR)
    plain = bytes((0x80 | PING, 0x80 | 5, 0, 0, 0, 0)) + b"hello"
    yield Case("5.3", "a mask of zeros", (plain,), pongs=(b"hello",))
    for rsv in range(1, 8):
        for name, opcode in {"text": TEXT, "binary": BINARY, "continuation": CONT, **CONTROL}.items():
            before = (split(50)[0],) if opcode == CONT else ()
            sent = masked(opcode, b"\x03\xe8", rsv=rsv)
            yield Case("5.2", f"{name} with reserved bits {rsv:03b}", (*before, sent, beat), PROTOCOL_ERROR)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for fin in (True, False):
            for payload in (b"", b"payload"):
                name = f"opcode {opcode}{'' if fin else ' without FIN'}, {len(payload)} bytes"
                sent = masked(opcode, payload, fin=fin)
                yield Case("5.2", name, (sent, beat), PROTOCOL_ERROR)
    for inside in (3, 11):
        first, last = split(70)
        yield Case(
            "5.2", f"opcode {inside} inside a message", (first, masked(inside, b""), last), PROTOCOL_ERROR
        )
    for size in (125, 126, 127, 128, 1000, 65535, 65536, 65537, 2**18, MOST - 1, MOST):
        yield Case("5.2", f"a message of {size} bytes", (Whole(size), beat), whole=2)
    for form in (2, 8):
        for size in (0, 1, 125):
            sent = frame(0x80 | TEXT, b" " * size, form=form)
            judged = "A length in more bytes than it needs"
            yield Case("5.2", f"length {size} in {form} bytes", (sent, beat), whole=2, judged=judged)
    judged = "A length in more bytes than it needs"
    for size in (126, 65535):
        sent = frame(0x80 | TEXT, b" " * size, form=8)
        yield Case("5.2", f"length {size} in 8 bytes", (sent, beat), whole=2, judged=judged)
    for size in (2**63, 2**63 + 5, 2**64 - 1):
        sent = bytes((0x80 | TEXT, 0x80 | 127)) + size.to_bytes(8) + b"keyx" + b"x" * 50
        judged = "A length whose first bit is set"
        yield Case("5.2", f"length {size:#x}", (sent,), TOO_BIG, judged=judged, cut=True)
    for size in (2**20 + 1, 2**31, 2**32, 2**63 - 1):
        sent = bytes((0x80 | TEXT, 0x80 | 127)) + size.to_bytes(8) + b"keyx"
        yield Case("10.4", f"a head that announces {size} bytes", (sent,), TOO_BIG, cut=True)


def fragmentation() -> Iterator[Case]:
    """5.4"""
    beat = Whole()
    first, last = split(100)
    for ends in ((1,), (100,), (199,), (0,), (200,), (50, 100), (0, 0, 100), (100, 100), (50, 100, 150, 200)):
        yield Case("5.4", f"fragments that end at {ends}", (*split(*ends), beat), whole=2)
    for size in (1, 2, 7, 63):
        yield Case("5.4", f"fragments of {size} bytes", (*parts(beat, size), beat), whole=2)
    for size in (64, 256, 1024, 4096, 16384, 65536, 262144):
        large = Whole(2**16 if size < 1024 else MOST)
        yield Case("5.4", f"{large.size} bytes in fragments of {size}", (*parts(large, size),), whole=1)
    binary = tuple(parts(beat, 80, BINARY))
    yield Case("5.4", "binary in fragments", (*binary, beat), whole=2)
    for name, opcode in {"ping": PING, "pong": PONG}.items():
        between = masked(opcode, b"between")
        pongs = (b"between",) if opcode == PING else ()
        yield Case("5.4", f"{name} between fragments", (first, between, last), whole=1, pongs=pongs)
        three = split(60, 120)
        sent: tuple[Sent, ...] = (three[0], between, three[1], between, between, three[2], between)
        yield Case("5.4", f"{name}s between all fragments", sent, whole=1, pongs=pongs * 4)
    for fin in (True, False):
        shown = "" if fin else " without FIN"
        cont = masked(CONT, b"hello", fin=fin)
        yield Case("5.4", f"a continuation of nothing{shown}", (cont, beat), PROTOCOL_ERROR)
        sent = (beat, cont, beat)
        yield Case("5.4", f"a continuation behind a message{shown}", sent, PROTOCOL_ERROR, whole=1)
        sent = (*split(100), cont, beat)
        yield Case("5.4", f"a continuation behind the last one{shown}", sent, PROTOCOL_ERROR, whole=1)
        for name, opcode in {"text": TEXT, "binary": BINARY}.items():
            new = masked(opcode, b"{}", fin=fin)
            yield Case("5.4", f"{name} inside a message{shown}", (first, new, last), PROTOCOL_ERROR)
    for name, opcode in CONTROL.items():
        payload = b"\x03\xe8" if opcode == CLOSE else b"half"
        half = masked(opcode, payload, fin=False)
        rest = masked(CONT, b"")
        yield Case("5.5", f"a fragment of a {name}", (half, rest, beat), PROTOCOL_ERROR)
        yield Case("5.5", f"a fragment of a {name} inside a message", (first, half, last), PROTOCOL_ERROR)
    yield Case("5.4", "a close inside a message", (first, closing(NORMAL), last), NORMAL)
    yield Case("5.4", "a message that is not completed", (beat, first), whole=1)


def control() -> Iterator[Case]:
    """5.5: pings and pongs."""
    beat = Whole()
    for size in (0, 1, 2, 16, 64, 124, 125):
        payload = bytes(range(256))[:size]
        yield Case("5.5.2", f"a ping of {size} bytes", (masked(PING, payload), beat), None, 1, (payload,))
        yield Case("5.5.3", f"a pong of {size} bytes", (masked(PONG, payload), beat), None, 1)
    binary = bytes((0, 255, 254, 253, 252, 251, 0, 255))
    yield Case("5.5.2", "a ping of no text", (masked(PING, binary),), pongs=(binary,))
    for count in (2, 10, 100):
        payloads = tuple(b"%d" % number for number in range(count))
        pings = tuple(masked(PING, payload) for payload in payloads)
        yield Case("5.5.2", f"{count} pings", pings, pongs=payloads)
    yield Case("5.5.3", "100 pongs", (*(masked(PONG, b"x") for _ in range(100)), beat), whole=1)
    yield Case("5.5.3", "a pong, a ping", (masked(PONG, b"o"), masked(PING, b"i")), pongs=(b"i",))
    for name, opcode in CONTROL.items():
        for size in (126, 127, 300, 65536):
            sent = masked(opcode, b"\x03\xe8" + b"x" * (size - 2))
            yield Case("5.5", f"a {name} of {size} bytes", (sent, beat), PROTOCOL_ERROR)
        for form in (2, 8):
            payload = b"\x03\xe8"
            sent = frame(0x80 | opcode, payload, form=form)
            yield Case(
                "5.5",
                f"a {name} whose length stands in {form} bytes",
                (sent,),
                NORMAL if opcode == CLOSE else None,
                pongs=(payload,) if opcode == PING else (),
                judged="A length in more bytes than it needs",
            )


def texts() -> Iterator[Case]:
    """5.6, 8.1: text is UTF-8, binary is anything."""
    for name, text in VALID.items():
        yield Case("8.1", f"valid: {name}", (Spoken(text),), whole=1)
        for cut in range(1, len(text)):
            yield Case("8.1", f"valid: {name}, cut at {cut}", (Spoken(text, (cut,)),), whole=1)
        yield Case("8.1", f"valid: {name}, byte by byte", (Spoken(text, (*range(len(text)),)),), whole=1)
    for name, text in INVALID.items():
        yield Case("8.1", f"invalid: {name}", (Spoken(text), Whole()), INVALID_DATA)
        for cut in range(1, len(text)):
            sent = (Spoken(text, (cut,)), Whole())
            yield Case("8.1", f"invalid: {name}, cut at {cut}", sent, INVALID_DATA)
        yield Case("5.6", f"binary: {name}", (Spoken(text, opcode=BINARY), Whole()), whole=2)
    for text in (b"\xc2", b"\xe4\xb8", b"\xf0\x9f\x9a"):
        yield Case("8.1", f"text that ends in {text.hex()}", (masked(TEXT, b"x" + text),), INVALID_DATA)
    bad = masked(TEXT, b"\xff", fin=False)
    yield Case(
        "8.1",
        "invalid, and the message not completed",
        (bad, Whole(125), masked(CONT, b"")),
        PROTOCOL_ERROR,
        judged="Invalid UTF-8 before the end of its message",
    )


def closes() -> Iterator[Case]:
    """5.5.1, 7: the end."""
    beat = Whole()
    yield Case("5.5.1", "a close without a code", (masked(CLOSE, b""), beat), NO_CODE)
    yield Case("5.5.1", "a close of one byte", (masked(CLOSE, b"\x03"), beat), PROTOCOL_ERROR)
    for valid, codes in CODES.items():
        for code in codes:
            yield Case("7.4", f"close {code}", (closing(code), beat), code if valid else PROTOCOL_ERROR)
            yield Case(
                "7.4",
                f"close {code} with a reason",
                (closing(code, b"bye"),),
                code if valid else PROTOCOL_ERROR,
            )
    yield Case("5.5.1", "a reason of 123 bytes", (closing(NORMAL, b"r" * 123),), NORMAL)
    yield Case("5.5.1", "a reason of 124 bytes", (closing(NORMAL, b"r" * 124),), PROTOCOL_ERROR)
    for name, text in VALID.items():
        yield Case("5.5.1", f"a reason: {name}", (closing(NORMAL, text),), NORMAL)
    for name, text in INVALID.items():
        yield Case("8.1", f"a reason that is no UTF-8: {name}", (closing(NORMAL, text),), INVALID_DATA)
    end = closing(NORMAL)
    yield Case("5.5.1", "two closes", (end, closing(1001)), NORMAL)
    yield Case("5.5.1", "a ping behind a close", (end, masked(PING, b"late")), NORMAL)
    yield Case("5.5.1", "a message behind a close", (beat, end, beat), NORMAL, 1)
    yield Case("5.5.1", "what is no frame behind a close", (end, b"\xff" * 300), NORMAL)
    yield Case("5.5.1", "a close behind a message of 256 KiB", (Whole(2**18), end), NORMAL, 1)
    yield Case("5.5.1", "a ping, a close", (masked(PING, b"p"), end), NORMAL, pongs=(b"p",))
    yield Case(
        "7.1.7", "messages behind a broken frame", (beat, masked(3, b""), beat, beat), PROTOCOL_ERROR, 1
    )


def limits() -> Iterator[Case]:
    """10.4: how long a message may be."""
    beat = Whole()
    yield Case("10.4", "a message of 1 MiB and a byte", (Whole(MOST + 1), beat), TOO_BIG)
    yield Case("10.4", "4 MiB", (Whole(4 * MOST),), TOO_BIG)
    for size in (4096, 65536, MOST):
        sent = tuple(parts(Whole(MOST + 1), size))
        yield Case("10.4", f"1 MiB and a byte in fragments of {size}", sent, TOO_BIG)
    yield Case("10.4", "1 MiB twice", (Whole(MOST), Whole(MOST)), whole=2)
    empty = masked(CONT, b"", fin=False)
    first, last = split(100)
    yield Case("5.4", "1000 empty fragments", (first, *(empty for _ in range(1000)), last), whole=1)
    yield Case("5.4", "1000 messages at once", tuple(beat for _ in range(1000)), whole=1000)


CASES = [
    *framing(),
    *fragmentation(),
    *control(),
    *texts(),
    *closes(),
    *limits(),
]
