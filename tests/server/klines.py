"""Requests for bars over HTTP, and their answers."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec

from ..serving import OTHER_HTTP, Served


def one(code: str = "BTCUSDT", kline_type: object = 1, **more: object) -> dict[str, object]:
    return {"code": code, "kline_type": kline_type, **more}


def wrapped(data: object, trace: object = "t") -> dict[str, object]:
    return {"trace": trace, "data": data}


async def post(served: Served, document: object, base: str = OTHER_HTTP, **options: Any) -> httpx.Response:
    content = document if isinstance(document, (str, bytes)) else msgspec.json.encode(document)
    return await served.request("POST", f"{base}/batch-kline?token=t", content=content, **options)
