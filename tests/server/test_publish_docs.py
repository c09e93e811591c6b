"""What docs/publishing.md shows is true."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from ..serving import program
from ..test_kill import bars
from .publishing import Desk, desk_in, now

pytestmark = pytest.mark.asyncio(loop_scope="module")
PAGE = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text(encoding="utf-8")
SHOWN = "http://127.0.0.1:8600"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path_factory.mktemp("docs")) as desk:
        yield desk


async def test_the_program_publishes_three_trades(desk: Desk) -> None:
    (text,) = blocks("python")
    address = desk.served.url.removeprefix("http://")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        text.replace("127.0.0.1:8600", address),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    answers = [ast.literal_eval(line) for line in out.decode().splitlines()]
    assert [(one["message"], one["accepted"], one["seq"]) for one in answers] == [  # a hello was the first
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 3),
    ]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
async def test_the_program_goes_on_after_kills_of_the_server(tmp_path: Path) -> None:
    (text,) = blocks("python")
    count = 3000
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(program(tmp_path, "--source", "publish"))
        port = server.url.rpartition(":")[2]
        publishing = await asyncio.create_subprocess_exec(
            sys.executable,
            "-uc",
            text.replace(":8600", f":{port}").replace(" + 4))", f" + {count + 1}))"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert publishing.stdout is not None
        for _ in range(2):
            for _ in range(400):
                assert await publishing.stdout.readline()
            server.process.kill()
            await server.process.wait()
            server = await stack.enter_async_context(program(tmp_path, "--source", "publish", "--port", port))
        async with asyncio.timeout(120), httpx.AsyncClient(base_url=server.url) as client:
            await publishing.communicate()
            standing = (await client.get("/v1/publish")).json()["data"]
            assert (publishing.returncode, standing["seq"], standing["durable"]) == (0, count, count)
            found = await bars(client, server.url, "BTCUSDT", 1)
        assert sum(Decimal(bar["volume"]) for bar in found) == count / Decimal(10)


async def test_the_lines_are_taken(desk: Desk) -> None:
    (lines,) = blocks("ndjson")
    for moment in set(re.findall(r'"time":(\d+)', lines)):
        lines = lines.replace(moment, str(now()))
    data = await desk.data(lines.encode(), publisher="docs")
    assert (data["accepted"], data["bad"]) == (7, [])


async def test_the_answers_have_the_fields_that_are_shown(desk: Desk) -> None:
    taken, told, standing = (json.loads(block) for block in blocks("json"))
    answer = (await desk.post(b"", publisher="fields")).json()
    assert [*answer] == [*taken] == [*told] == [*standing]
    assert [*answer["data"]] == [*taken["data"]]
    async with desk.socket() as talk:
        assert [*(await talk.send("{}"))] == [*told["data"]]
    assert [*(await desk.standing())] == [*standing["data"]]
    assert told["data"]["bad"][0].keys() == {"line", "reason"}


async def test_the_commands_are_spelt_right() -> None:
    shown = "\n".join(blocks("sh"))
    assert f"curl {SHOWN}/v1/publish -H 'Content-Type: application/x-ndjson'" in shown
    assert "tickwire serve --source publish" in shown
    assert "tickwire token create --name desk-feed --publish" in shown
