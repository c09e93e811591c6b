"""Bodies of requests, bounded in size and time: at a real socket."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.server import bodies, http_protocol
from tickwire.server.bounds import Held

from ..serving import OTHER_HTTP, Script, Served, program, serving, until
from .http_bytes import ADMIN, BATCH, HEALTH, answer, post


async def test_bodies_behind_one_another_are_all_read(served: Served) -> None:
    body = json.dumps({"trace": "x" * 60, "data": {"data_list": []}}).encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    async with served.raw() as raw:
        head = post(BATCH, len(body)) + body
        in_chunks = post(BATCH, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + chunked
        await raw.send((head + in_chunks) * 50)
        for _ in range(100):
            status, _, said = await answer(raw)
            assert (status, said["ret"], said["trace"]) == (400, 400, "x" * 60)


@pytest.mark.parametrize("path", [BATCH, ADMIN])
async def test_a_body_that_stalls_is_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(bodies, "STALL", 0.2)
    async with served.raw(post(path, 11) + b'{"a": "b"}') as raw:
        status, _, said = await answer(raw)
        assert status == 408
        assert "nothing came of the body" in str(said).lower()


@pytest.mark.parametrize("path", [BATCH, ADMIN])
async def test_a_body_that_trickles_is_answered(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(bodies, "WHOLE", 0.5)

    async def trickle() -> None:
        while True:
            await raw.send(b" ")
            await asyncio.sleep(0.05)

    async with served.raw(post(path, 1000)) as raw:
        trickling = asyncio.create_task(trickle())
        status, _, said = await answer(raw)
        assert status == 408
        assert "came too slowly" in str(said)
        trickling.cancel()


async def test_all_bodies_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    helds: list[Held] = []

    def made(what: str, _: int) -> Held:
        helds.append(Held(what, 100_000))
        return helds[0]

    monkeypatch.setattr(bodies, "Held", made)
    async with (
        serving(tmp_path, Script()) as served,
        served.raw(post(BATCH, 90_001) + b" " * 90_000) as first,
    ):
        await until(lambda: helds[0].held >= 90_000)
        with capture_logs() as logged:
            for _ in range(3):
                async with served.raw(post(BATCH, 20_000) + b" " * 20_000) as second:
                    status, headers, said = await answer(second)
                    assert (status, headers["retry-after"], said["ret"]) == (503, "1", 503)
        assert [line["event"] for line in logged if "refused" in line["event"]] == [
            "bodies of requests are refused: too much is held"
        ]
        await first.send(b" ")
        assert (await answer(first))[0] == 400
        assert helds[0].held == 0


@pytest.mark.parametrize("path", [BATCH, ADMIN, "/v1/publish"])
async def test_who_leaves_in_the_middle_of_a_body_leaves_nothing(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, source="publish") as served:
        async with served.raw(post(path, 1000) + b'{"a":') as raw:
            await until(lambda: bool(served.server.server_state.tasks))
        del raw
        await until(lambda: not (served.server.server_state.tasks or served.server.server_state.connections))
    assert [record.message for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("path", [BATCH, ADMIN, "/v1/publish"])
async def test_an_unfinished_body_ends_quietly_with_the_server(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys.modules["tickwire.server.serve"], "GRACE", 0.2)
    async with serving(tmp_path, source="publish") as served, served.raw(post(path, 1000) + b'{"a":') as raw:
        await until(lambda: bool(served.server.server_state.tasks))
        served.server.stop()
        status, _, said = await answer(raw)
        more = ": send what was not taken to the next one" if path == "/v1/publish" else ""
        assert (status, said["ret"], said["msg"]) == (503, 503, f"the server stops{more}")
    assert [record.message for record in caplog.records if record.exc_info] == []


async def test_the_program_stops_without_a_traceback_while_bodies_are_unfinished(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        host, port = running.url.removeprefix("http://").split(":")
        writers = []
        for path in (BATCH, ADMIN) * 3:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(post(path, 1000, "Expect: 100-continue\r\n"))
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")  # it is being read
            writers.append(writer)
        status, _ = await running.end()
        assert (status, "Traceback" in running.log, "Exception" in running.log) == (0, False, False)
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize("path", ["/healthz", "/", "/nosuch", "/docs", f"{OTHER_HTTP}/trade-tick"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_body_that_nobody_wants_does_not_hold_the_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    monkeypatch.setattr(http_protocol, "REST_TIMEOUT", 0.2)
    head = post(path, 10_000_000).replace(b"POST", method.encode())

    async def trickle() -> None:
        while True:
            await raw.send(b" ")
            await asyncio.sleep(0.05)

    async with served.raw(head) as raw:
        assert (await raw.head()).startswith(b"http/1.1 ")
        trickling = asyncio.create_task(trickle())
        await raw.rest()
        trickling.cancel()


async def test_a_body_that_nobody_wants_may_still_end(served: Served) -> None:
    async with served.raw(post("/healthz", 100_000).replace(b"POST", b"GET")) as raw:
        assert (await answer(raw))[0] == 200
        await raw.send(b"x" * 100_000 + HEALTH)
        assert (await answer(raw))[0] == 200


async def test_who_waits_for_100_continue(served: Served) -> None:
    body = b'{"trace":"t","data":{}}'
    async with served.raw(post(BATCH, len(body), "Expect: 100-continue\r\n")) as raw:
        assert (await raw.head()).startswith(b"http/1.1 100 ")
        await raw.send(body + HEALTH)
        status, headers, _ = await answer(raw)
        assert (status, headers.get("connection")) == (400, None)
        assert (await answer(raw))[0] == 200  # the connection stays
    async with served.raw(post(f"{OTHER_HTTP}/batch-kline", 5, "Expect: 100-continue\r\n")) as raw:
        status, headers, _ = await answer(raw)  # whether the body comes now is anyone's guess
        assert (status, headers["connection"]) == (401, "close")
        assert await raw.rest() == b""
