"""What README shows runs."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from .serving import DEPTH, STOCK_WS, Script, Served, book, trade

README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


async def test_the_client_prints_trades_and_books(served: Served, script: Script) -> None:
    (program,) = blocks("python")
    assert len(program.strip().splitlines()) <= 10
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        program.replace("ws://127.0.0.1:8600", served.url.replace("http", "ws")),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            for answered in (22005, 22003):
                assert json.loads(await process.stdout.readline())["cmd_id"] == answered
            script.emit(trade("GOLD"), book("BTCUSDT"))
            pushed = [json.loads(await process.stdout.readline()) for _ in range(2)]
        assert [(push["cmd_id"], push["data"]["code"]) for push in pushed] == [
            (22998, "GOLD"),
            (22999, "BTCUSDT"),
        ]
        assert len(pushed[1]["data"]["bids"]) == 5
    finally:
        process.kill()
        await process.wait()


async def test_the_request_with_curl_is_answered(served: Served, script: Script) -> None:
    command = next(block for block in blocks("sh") if block.startswith("curl"))
    url, query = re.findall(r"'([^']+)'", command)
    async with served.link(STOCK_WS) as link:
        await link.subscribe(DEPTH, "700.HK")
        script.emit(book("700.HK", levels=10))
        await link.push()
    path = url.removeprefix("http://127.0.0.1:8600").partition("?")[0]
    reply = await served.get(path, query.removeprefix("query="))
    assert len(reply.json()["data"]["tick_list"][0]["bids"]) == 10
