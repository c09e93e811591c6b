"""Publishing over HTTP: what is taken, what is answered, and bodies that mean no good."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tickwire.server import publish
from tickwire.wire.publish import MAX_LINE

from ..serving import DEPTH, DEPTH_PUSH, TRADE, TRADE_PUSH
from .publishing import NDJSON, NEW, PATH, Desk, a_trade, desk_in, now, packed

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD = "POST /v1/publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server without tokens."""
    async with desk_in(tmp_path_factory.mktemp("publish")) as desk:
        yield desk


# What is taken.
async def test_what_is_published_is_what_clients_get(desk: Desk) -> None:
    async with desk.served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        at = now()
        book = {
            "type": "book",
            "code": "BTCUSDT",
            "time": at,
            "bids": [["100", "1"], [99.5, 2]],
            "asks": [["101", "3"]],
        }
        data = await desk.data(packed(a_trade(time=at, direction=1), book))
        assert data | {"queued": 0} == {
            "lines": 2,
            "accepted": 2,
            "duplicates": 0,
            "bad_lines": 0,
            "bad": [],
            "seq": 0,
            "durable": 0,
            "queued": 0,
            "limit": 20_000,
        }
        trade, depth = await link.push(), await link.push()
    assert (trade["cmd_id"], depth["cmd_id"]) == (TRADE_PUSH, DEPTH_PUSH)
    assert (trade["data"]["price"], trade["data"]["volume"]) == ("100.50", "1.00000")
    assert (trade["data"]["tick_time"], trade["data"]["trade_direction"]) == (at, 1)
    assert depth["data"]["bids"] == [
        {"price": "100.00", "volume": "1.00000"},
        {"price": "99.50", "volume": "2.00000"},
    ]


async def test_a_bad_line_is_answered_and_the_others_pass(desk: Desk) -> None:
    data = await desk.data(packed(a_trade(), "", "{", a_trade(price="1.234"), a_trade()) + b"\n")
    assert (data["lines"], data["accepted"], data["bad_lines"]) == (5, 2, 2)
    assert [one["line"] for one in data["bad"]] == [3, 4]
    assert data["bad"][1]["reason"] == "price 1.234 has more than 2 decimals"


async def test_an_empty_body_is_no_line(desk: Desk) -> None:
    for empty in (b"", b"\n\n", b"\r\n"):
        data = await desk.data(empty)
        assert (data["accepted"], data["bad_lines"]) == (0, 0)


async def test_a_retry_takes_nothing_twice(desk: Desk) -> None:
    body = packed(*(a_trade(seq) for seq in range(1, 11)))
    first, again = await desk.data(body, publisher="retry"), await desk.data(body, publisher="retry")
    assert (first["accepted"], first["duplicates"], first["seq"]) == (10, 0, 10)
    assert (again["accepted"], again["duplicates"], again["seq"]) == (0, 10, 10)
    standing = await desk.standing("retry")
    assert 0 <= standing["durable"] <= 10
    rest = {"publisher": "local/retry", "seq": 10, "limit": 20_000}
    assert rest.items() <= standing.items()
    assert [(one["code"], one["seq"]) for one in standing["streams"]] == [("BTCUSDT", 10)]
    assert standing.keys() == {*rest, "durable", "queued", "streams"}
    assert (await desk.standing("other"))["seq"] == 0


async def test_a_long_body_is_taken_as_it_comes(desk: Desk) -> None:
    lines = 30_000
    seen: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for start in range(1, lines, 1000):
            yield packed(*(a_trade(seq, code="ETHUSDT") for seq in range(start, start + 1000))) + b"\n"
            if start == 10_001:
                async with asyncio.timeout(120):
                    while not seen:
                        if (found := (await desk.standing("long"))["seq"]) > 5000:
                            seen.append(found)

    data = await desk.data(body(), publisher="long")
    assert (data["accepted"], data["seq"]) == (lines, lines)
    assert seen[0] <= 11_000
    await desk.served_all()
    assert (await desk.last_trade("ETHUSDT"))["price"] == "100.50"


async def test_a_new_instrument(desk: Desk) -> None:
    data = await desk.data(packed(NEW, a_trade(code="MYIDX", price="1.234"), NEW | {"levels": 3}))
    assert data["bad"] == [
        {"line": 3, "reason": "MYIDX is defined otherwise, and stays so while the server runs"}
    ]
    await desk.served_all()
    assert (await desk.last_trade("MYIDX"))["price"] == "1.234"


# Gzip.
async def test_gzip(desk: Desk) -> None:
    lines = packed(*(a_trade(seq) for seq in range(1, 2001)))
    half = len(lines) // 2
    for body in (gzip.compress(lines), gzip.compress(lines[:half]) + gzip.compress(lines[half:])):
        data = await desk.data(body, publisher=f"gzip{len(body)}", content_encoding="gzip")
        assert (data["accepted"], data["bad_lines"]) == (2000, 0)
    assert (await desk.data(b"", content_encoding="gzip"))["accepted"] == 0


async def test_gzip_in_tiny_pieces(desk: Desk) -> None:
    packed_lines = gzip.compress(packed(*(a_trade(seq) for seq in range(1, 51))))

    async def body() -> AsyncIterator[bytes]:
        for place in range(0, len(packed_lines), 7):
            yield packed_lines[place : place + 7]

    data = await desk.data(body(), publisher="tiny", content_encoding="gzip")
    assert (data["accepted"], data["bad_lines"]) == (50, 0)


@pytest.mark.parametrize("cut", [5, 200, -1])
async def test_gzip_that_ends_early_or_is_broken(desk: Desk, cut: int) -> None:
    whole = gzip.compress(packed(*(a_trade(seq) for seq in range(1, 2001))), mtime=0)
    for number, body in enumerate((whole[:cut], b"no gzip", whole[:20] + b"\xff" * 50)):
        answer = await desk.post(body, publisher=f"cut{cut}.{number}", content_encoding="gzip")
        assert (answer.status_code, answer.json()["ret"]) == (400, 400)
        assert "gzip" in answer.json()["msg"]
        data = answer.json()["data"]
        assert data["accepted"] == data["seq"] == (await desk.standing(f"cut{cut}.{number}"))["seq"]


@pytest.mark.parametrize(
    ("filler", "status"), [(b"\0", 413), (b" ", 413), (b"\n", 400), (b"1\n", 400)], ids=repr
)
async def test_a_gzip_bomb_is_not_unpacked(
    desk: Desk, filler: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked = 0
    feed = publish.Gunzip.feed

    def counting(self: publish.Gunzip, data: bytes) -> Any:
        nonlocal unpacked
        for piece in feed(self, data):
            assert len(piece) <= publish.PIECE
            unpacked += len(piece)
            yield piece

    monkeypatch.setattr(publish.Gunzip, "feed", counting)
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(filler * 2**20) for _ in range(50)) + packer.flush()
    answer = await desk.post(packed(a_trade()) + b"\n", content_encoding="identity")
    assert answer.status_code == 200
    answer = await desk.post(bomb, content_encoding="gzip")
    assert answer.status_code == status
    assert unpacked <= publish.FREE_GAIN + publish.MOST_GAIN * len(bomb)
    assert unpacked < 25 * 2**20


# What is refused.
@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-encoding": "br"},
        {"content-encoding": "gzip, gzip"},
        {"content-encoding": "deflate"},
    ],
)
async def test_types_and_encodings(desk: Desk, headers: dict[str, str]) -> None:
    answer = await desk.client.post(PATH, content=packed(a_trade()), headers=NDJSON | headers)
    assert (answer.status_code, answer.json()["ret"]) == (415, 415)


@pytest.mark.parametrize("content_type", ["application/json", "Application/X-NDJSON; charset=utf-8"])
async def test_types_that_are_taken(desk: Desk, content_type: str) -> None:
    assert (await desk.data(packed(a_trade()), content_type=content_type))["accepted"] == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"])
async def test_other_methods(desk: Desk, method: str) -> None:
    answer = await desk.client.request(method, PATH, headers={"origin": desk.served.url})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("name", ["a b", "a/b", "x" * 65, "ü", "a\nb"])
async def test_names_of_publishers(desk: Desk, name: str) -> None:
    answer = await desk.post(packed(a_trade()), publisher=name)
    assert (answer.status_code, answer.json()["ret"]) == (400, 400)


async def test_a_line_that_is_too_long_is_one_bad_line(desk: Desk) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield packed(a_trade()) + b"\n"
        for _ in range(64):
            yield b"x" * MAX_LINE
        yield b"\n" + packed(a_trade())

    data = await desk.data(body())
    assert (data["lines"], data["accepted"]) == (3, 2)
    assert data["bad"] == [{"line": 2, "reason": f"longer than {MAX_LINE} bytes"}]


async def test_bytes_of_all_kinds(desk: Desk) -> None:
    hostile = [
        b"\xff\xfe",
        b"\0" * 100,
        b'{"type":"trade","code":"\xc3\x28","time":1,"price":1,"volume":1}',
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"type":"trade","code":"BTCUSDT","time":1800000000000,"price":1e999999,"volume":1}',
        b'{"type":"trade","code":"BTCUSDT","time":1800000000000,"price":NaN,"volume":1}',
        b'{"type":"trade","code":"BTCUSDT","time":1e300,"price":1,"volume":1}',
        b'{"type":"nothing"}',
    ]
    data = await desk.data(b"\n".join(hostile))
    assert (data["accepted"], data["bad_lines"]) == (0, len(hostile))
    assert all(len(one["reason"]) < 300 for one in data["bad"])


# Connections.
async def test_what_came_before_a_cut_is_taken_and_a_half_line_is_not(desk: Desk) -> None:
    body = packed(*(a_trade(seq) for seq in range(1, 101))) + b"\n" + packed(a_trade(101))[:-1]
    async with desk.served.raw(f"{HEAD}Content-Length: 1000000\r\n\r\n".encode()) as raw:
        await raw.send(body)
        async with asyncio.timeout(120):
            while (await desk.standing())["seq"] < 100:
                pass
    rest = await desk.data(packed(*(a_trade(seq) for seq in range(51, 151))))
    assert (rest["duplicates"], rest["accepted"], rest["seq"]) == (50, 50, 150)


async def test_a_body_that_stops_coming(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "STALL", 0.05)
    async with desk.served.raw(
        f"{HEAD}Content-Length: 1000000\r\n\r\n".encode() + packed(a_trade()) + b"\n"
    ) as raw:
        head, body = (await raw.rest()).split(b"\r\n\r\n", 1)
    assert b" 408 " in head
    assert json.loads(body)["data"]["accepted"] == 1


async def test_no_room_is_told_and_what_was_taken_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "PATIENCE", 0.05)
    monkeypatch.setattr(desk.published, "limit", 0)
    answer = await desk.post(packed(*(a_trade(seq) for seq in range(1, 5))), publisher="busy")
    assert (answer.status_code, answer.json()["ret"], answer.headers["retry-after"]) == (503, 503, "1")
    assert (answer.json()["data"]["accepted"], answer.json()["data"]["seq"]) == (0, 0)
    monkeypatch.undo()
    assert (await desk.data(packed(*(a_trade(seq) for seq in range(1, 5))), publisher="busy"))[
        "accepted"
    ] == 4


async def test_a_server_that_takes_no_prices(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with desk_in(tmp_path_factory.mktemp("simulator"), source="simulator") as desk:
        answer = await desk.post(packed(a_trade()))
        assert answer.status_code == 404
        assert "--source publish" in answer.json()["msg"]
