"""Requests as bytes, and their answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..serving import OTHER_HTTP, Raw

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BATCH = f"{OTHER_HTTP}/batch-kline?token=t"
ADMIN = "/admin/scenario"


def post(path: str, size: int, more: str = "") -> bytes:
    """The head of a POST of JSON."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\n{more}\r\n"
    ).encode()


async def answer(raw: Raw) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of the next answer."""
    head = (await raw.head()).decode()
    lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    async with asyncio.timeout(120):
        body = await raw.reader.readexactly(int(headers["content-length"]))
    return int(lines[0].split()[1]), headers, json.loads(body)
