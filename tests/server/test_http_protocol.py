"""What a stranger may send over HTTP, and how what is wrong is answered: at a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tickwire.server import http_protocol
from tickwire.server.http_protocol import HttpProtocol
from tickwire.server.serve import loop_factory

from ..serving import HEARTBEAT, OTHER_HTTP, OTHER_WS, Script, Served, masked, serving, until, upgrade
from .http_bytes import ADMIN, BATCH, HEALTH, answer, post

CODES = {
    "trace": "t",
    "data": {"symbol_list": [{"code": f"CODE{n:04}.NN"} for n in range(2999)] + [{"code": "BTCUSDT"}]},
}
LONG = quote(json.dumps(CODES))


def protocols(served: Served) -> list[HttpProtocol]:
    return [one for one in served.server.server_state.connections if isinstance(one, HttpProtocol)]


# Pipelining.
async def test_requests_that_nobody_reads_do_not_pile_up(served: Served) -> None:
    async with served.raw(receive_buffer=4096) as raw:
        sending = asyncio.create_task(raw.send(HEALTH * 100_000))
        await until(lambda: any(one.flow and one.flow.write_paused for one in protocols(served)))
        (flooded,) = protocols(served)
        for _ in range(50):  # and others are answered meanwhile
            assert (await served.request("GET", "/healthz")).status_code == 200
        assert len(flooded.pipeline) <= http_protocol.SLICE // 16
        assert len(flooded._unparsed) < 2**19  # what one read of the socket brings
        assert len(served.server.server_state.tasks) < 10
        sending.cancel()


async def test_requests_behind_one_another_are_all_answered_in_order(served: Served) -> None:
    count = 500
    async with served.raw() as raw:
        asks = b"".join(
            f"GET {OTHER_HTTP}/nosuch{n}?token=t&n={n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + HEALTH
            for n in range(count)
        )
        sending = asyncio.create_task(raw.send(asks))
        for _ in range(count):
            assert [(await answer(raw))[0] for _ in range(2)] == [402, 200]
        await sending
        await raw.send(HEALTH)  # and the connection stays
        assert (await answer(raw))[0] == 200


def test_who_reads_nothing_of_many_answers_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "STALL_TIMEOUT", 0.2)
    asks = b"GET /docs/protocol.md HTTP/1.1\r\nHost: x\r\n\r\n" * 300

    async def ask() -> None:
        async with serving(tmp_path, Script()) as served, contextlib.AsyncExitStack() as opened:
            raws = [await opened.enter_async_context(served.raw(receive_buffer=4096)) for _ in range(3)]
            sending = [asyncio.create_task(raw.send(asks)) for raw in raws]
            state = served.server.server_state
            await until(lambda: bool(state.tasks))
            await until(lambda: not (state.tasks or state.connections))
            await asyncio.gather(*sending)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:  # uvloop's transports raise, asyncio's do not
        runner.run(ask())
    assert [record.message for record in caplog.records if record.exc_info] == []


# Hosts.
@pytest.mark.parametrize(
    "head",
    [
        b"GET /admin/connections HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        b"GET /admin/connections HTTP/1.1\r\nHost: 127.0.0.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example/admin/connections HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example?/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        upgrade(more="Host: 127.0.0.1\r\n"),
        upgrade(path=f"http://evil.example{OTHER_WS}"),
    ],
)
async def test_a_request_names_one_host(served: Served, head: bytes) -> None:
    async with served.raw(head) as raw:
        status, headers, said = await answer(raw)
        assert (status, said["ret"], headers["connection"]) == (400, 400, "close")
        assert "host" in said["msg"].lower()


async def test_a_target_may_name_the_host_that_the_header_names(served: Served) -> None:
    async with served.raw(
        b"GET http://LocalHost/healthz?to=http://x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ) as raw:
        assert (await answer(raw))[0] == 200
        await raw.send(b"GET /healthz?to=http://x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await answer(raw))[0] == 200


async def test_trailers_are_no_headers(served: Served) -> None:
    head = post(ADMIN, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    head = head.replace(b"Host: 127.0.0.1\r\n", b"Host: x\r\n")
    async with served.raw(head + b"2\r\n{}\r\n0\r\nHost: 127.0.0.1\r\n\r\n") as raw:
        assert (await answer(raw))[0] == 403


# Heads.
async def test_three_thousand_codes_fit_in_a_query(served: Served) -> None:
    assert 2**16 < len(LONG) < http_protocol.MAX_HEAD
    async with served.raw(
        f"GET {OTHER_HTTP}/trade-tick?token=t&query={LONG} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    ) as raw:
        status, _, said = await answer(raw)
        assert (status, said["ret"], said["trace"]) == (200, 200, "t")
    async with served.raw(upgrade(query=f"?query={LONG}&token=t")) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")
        await raw.send(masked(1, b'{"cmd_id":22000}'))
        assert b'"ret":200' in (await raw.frame())[1]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /healthz?" + b"x" * 2**18 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /" + b"x" * 2**16 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /" + b"x" * 2**18 + b" HTTP/1.1\r\n\r\n", 431),
        (upgrade(query="?" + "x" * 2**18), 431),
        (upgrade(path="/" + "x" * 2**16), 431),
        (upgrade(more="A: b\r\n" * 128), 431),
        (upgrade(more="A: " + "b" * 9000 + "\r\n"), 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 129 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 2**18 + b"\r\n\r\n", 431),
        (b"hello\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET http://\xff/ HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),  # TLS
    ],
)
async def test_what_cannot_be_read_is_answered_with_json(served: Served, head: bytes, status: int) -> None:
    async with served.raw(head) as raw:
        found, headers, said = await answer(raw)
        assert (found, said["ret"], said["trace"]) == (status, status, "")
        assert (headers["content-type"], headers["connection"]) == ("application/json", "close")
        assert await raw.rest() == b""


@pytest.mark.parametrize("chunk", [b"x\r\n", b"5\r\nhelloX", b"fffffffffffffffff\r\n", b"-1\r\n"])
@pytest.mark.parametrize("path", [BATCH, ADMIN, "/v1/publish"])
async def test_a_malformed_chunk_is_answered_with_json(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, chunk: bytes, path: str
) -> None:
    head = post(path, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    async with serving(tmp_path, source="publish") as served, served.raw(head + b"1\r\n \r\n") as raw:
        await until(lambda: bool(served.server.server_state.tasks))
        await raw.send(chunk)
        status, _, said = await answer(raw)
        assert (status, said["ret"]) == (400, 400)
        assert await raw.rest() == b""
    assert [record.message for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    "bad",
    [
        b"hello\r\n\r\n",
        upgrade(),
        post(BATCH, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"x\r\n",
    ],
)
async def test_requests_before_a_bad_one_are_answered_first(served: Served, bad: bytes) -> None:
    async with served.raw(HEALTH * 3 + bad) as raw:
        for _ in range(3):
            assert (await answer(raw))[0] == 200
        assert (await answer(raw))[0] == 400


async def test_an_upgrade_of_http_1_0_is_none(served: Served) -> None:
    async with served.raw(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0")) as raw:
        status, headers, said = await answer(raw)
        assert (status, said["ret"], headers["connection"]) == (426, 426, "close")


async def test_frames_in_the_same_bytes_as_an_upgrade_are_read(served: Served) -> None:
    heartbeat = masked(1, b'{"cmd_id":%d,"seq_id":7}' % HEARTBEAT)
    async with served.raw(upgrade(OTHER_WS) + heartbeat * 300) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101 ")
        for _ in range(300):
            assert b'"seq_id":7' in (await raw.frame())[1]


async def test_long_heads_of_all_connections_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "MOST_HELD", 100_000)
    begun = b"GET /?" + b"x" * 90_000
    async with serving(tmp_path, Script()) as served, served.raw(begun) as first:
        await until(lambda: any(one._counted > 70_000 for one in protocols(served)))
        async with served.raw(begun) as second:
            assert (await answer(second))[0] == 503
        assert (await served.request("GET", "/healthz")).status_code == 200  # an ordinary one always is
        await first.send(b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await first.head()).startswith(b"http/1.1 200 ")
        async with served.raw(begun + b" HTTP/1.1\r\nHost: x\r\n\r\n") as third:
            assert (await third.head()).startswith(b"http/1.1 200 ")


async def test_a_head_that_trickles_is_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT", 0.2)
    async with served.raw(b"GET / HTTP/1.1\r\n") as raw:
        status, _, said = await answer(raw)
        assert (status, said["ret"]) == (408, 408)
