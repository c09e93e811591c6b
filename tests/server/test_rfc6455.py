"""RFC 6455 over real sockets: a client's and a publisher's, plain and under TLS, at once and in pieces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from itertools import cycle, pairwise
from typing import Any, NamedTuple

import msgspec
import pytest
import pytest_asyncio

from ..serving import OTHER_WS, Raw, Served, masked, serving, upgrade
from .publishing import PATH
from .rfc6455 import CASES, CONT, NO_CODE, PING, TEXT, Case, Part, Spoken, Whole, closing
from .upgrades import UPGRADES, Upgrade
from .websocket_page import DEVIATIONS, rows

pytestmark = pytest.mark.asyncio(loop_scope="module")

LAST = b"the last ping"
LINE = 32 * 1024
"""Bytes of a line that is published."""
ODD = (1, 2, 1, 3, 5, 7, 1, 11)
"""Bytes of pieces, over and over; of what is long they are `LONG` times as many."""
SMALL, LONG = 1500, 499


class Place(NamedTuple):
    """Where a case is run, and how it is sent."""

    name: str
    publishes: bool = False
    tls: bool = False
    in_pieces: bool = False

    @property
    def hello(self) -> bytes:
        """The upgrade."""
        return upgrade(PATH if self.publishes else OTHER_WS).replace(b"Host: x", b"Host: 127.0.0.1")

    def message(self, number: int, size: int) -> bytes:
        """A message of so many bytes, of which blanks are most."""
        if not self.publishes:
            return (b'{"cmd_id":22000,"seq_id":%d,"trace":"h","data":{}' % number).ljust(size - 1) + b"}"
        now = time.time_ns() // 1_000_000
        line = b'{"type":"trade","code":"BTCUSDT","time":%d,"price":"100.5","volume":"1"}' % now
        blank = b" " * (LINE - 1) + b"\n"
        return (line.ljust(min(size, LINE) - 1) + b"\n" + blank * (size // LINE))[:size]

    def around(self, text: bytes, number: int) -> bytes:
        """A message with that text in it."""
        if self.publishes:
            return b'{"type":"note","text":"%b"}' % text
        return b'{"cmd_id":22000,"seq_id":%d,"trace":"%b","data":{}}' % (number, text)

    def took(self, answer: Any) -> int | None:
        """The number of the message that this answers, None if it could not be read."""
        if self.publishes:
            return answer["data"]["message"] if answer["data"]["accepted"] else None
        return answer["seq_id"] if answer["ret"] == 200 else None


PLACES = [
    Place("client"),
    Place("client, in pieces", in_pieces=True),
    Place("client under TLS", tls=True),
    Place("publisher", publishes=True),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[bool, Served]]:
    """One without TLS and one with it; both are published to."""
    plain, secured = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("secured")
    async with (
        serving(plain, source="publish") as one,
        serving(secured, source="publish", tls_self_signed="127.0.0.1") as other,
    ):
        yield {False: one, True: other}


def frames_of(case: Case, place: Place) -> Iterator[bytes]:
    """What is sent, each message with the number that it has."""
    number = 1
    parted = b""
    for item in case.sent:
        match item:
            case bytes():
                yield item
            case Whole(size):
                yield masked(TEXT, place.message(number, size))
                number += 1
            case Part(whole, begin, end, opcode, fin):
                if opcode != CONT:
                    parted = place.message(number, whole.size)
                yield masked(opcode, parted[begin:end], fin=fin)
                number += fin
            case Spoken(text, cuts, opcode):
                message = place.around(text, number)
                at = message.index(text)
                begins = [0, *(at + cut for cut in cuts), len(message)]
                for begin, end in pairwise(begins):
                    part = message[begin:end]
                    yield masked(CONT if begin else opcode, part, fin=end == len(message))
                number += 1


class Heard:
    """What the server says."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.pongs: list[bytes] = []
        self.closes: list[int] = []

    async def one(self, raw: Raw) -> bool:
        """The next frame; False at the end."""
        opcode, payload = await raw.frame()
        match opcode:
            case 1:
                assert not self.closes, "a message behind the close"
                self.answers.append(msgspec.json.decode(payload))
            case 8:
                self.closes.append(int.from_bytes(payload[:2]) if payload else NO_CODE)
                assert len(payload) <= 125
                payload[2:].decode()
            case 10:
                self.pongs.append(payload)
            case _:
                assert opcode == -1
        return opcode != -1

    async def rest(self, raw: Raw, *, cut: bool = False) -> None:
        """All to the end, or to the close, if `cut`."""
        while not (cut and self.closes) and await self.one(raw):
            pass


def pieces_of(data: bytes) -> Iterator[bytes]:
    at = 0
    for size in cycle(ODD):
        if at >= len(data):
            return
        end = at + size * (1 if len(data) <= SMALL else LONG)
        yield data[at:end]
        at = end


async def run(case: Case, place: Place, served: Served) -> None:
    heard = Heard()
    async with served.raw(place.hello) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")
        sent = b"".join(frames_of(case, place))
        if case.closes is None:
            sent += masked(PING, LAST)
        if place.in_pieces:
            for piece in pieces_of(sent):
                await raw.send(piece)
                await asyncio.sleep(0)  # the server looks at it
        else:
            await raw.send(sent)
        if case.closes is None:
            while LAST not in heard.pongs or len(heard.answers) < case.whole:
                assert await heard.one(raw), heard.closes
            assert heard.closes == []
            heard.pongs.remove(LAST)
            await raw.send(closing(1000))
        await heard.rest(raw, cut=case.cut)
    assert heard.closes == [1000 if case.closes is None else case.closes]
    assert tuple(heard.pongs) == case.pongs
    judge_answers(case, place, heard)


def judge_answers(case: Case, place: Place, heard: Heard) -> None:
    """As many messages arrived as should, in order, each as it was sent."""
    if place.publishes and case.closes is not None:
        # What was said before is taken all the same, but may be answered too late.
        assert len(heard.answers) <= case.whole
    else:
        assert len(heard.answers) == case.whole
    took = [place.took(answer) for answer in heard.answers]
    numbers = [one for one in took if one is not None]
    assert numbers == sorted(set(numbers))
    if all(isinstance(item, (Whole, Part)) or not _is_data(item) for item in case.sent):
        assert None not in took
    if not place.publishes:
        for item, answer in zip(case.sent, heard.answers, strict=False):
            if isinstance(item, Spoken) and item.opcode == TEXT:
                assert answer["trace"].encode() == item.text


def _is_data(item: object) -> bool:
    return not isinstance(item, bytes) or not item[0] & 8


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
async def test_frames(servers: dict[bool, Served], case: Case) -> None:
    async with asyncio.timeout(120):
        ended = await asyncio.gather(
            *(run(case, place, servers[place.tls]) for place in PLACES), return_exceptions=True
        )
    for place, end in zip(PLACES, ended, strict=True):
        if end is not None:
            end.add_note(f"as a {place.name}")
            raise end


@pytest.mark.parametrize("upgraded", UPGRADES, ids=[one.name for one in UPGRADES])
async def test_upgrades(servers: dict[bool, Served], upgraded: Upgrade) -> None:
    """What follows the head is heard where it was an upgrade."""
    place, served = PLACES[0], servers[False]
    behind = masked(TEXT, place.message(7, 200))
    async with asyncio.timeout(120), served.raw(upgraded.head + behind) as raw:
        line, *fields = (await raw.head()).decode("latin-1").rstrip().split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        assert line.split(" ")[:2] == ["http/1.1", str(upgraded.status)]
        name, value = upgraded.header
        assert headers.get(name) == (None if value is None else value.lower())
        if upgraded.status == 101:
            assert (headers["upgrade"], headers["connection"]) == ("websocket", "upgrade")
            heard = Heard()
            assert await heard.one(raw)
            assert place.took(heard.answers[0]) == 7


async def test_the_page_judges_each_deviation_and_no_other() -> None:
    judged = {case.judged for case in CASES} | {one.judged for one in UPGRADES}
    assert {row[0] for row in rows(DEVIATIONS)} == judged - {""}
