"""The routes of both documents: open to all, made when somebody first asks for them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...wire import to_json


def schema_routes() -> list[Route]:
    """The routes of /openapi.json and /asyncapi.json."""
    return [Route("/openapi.json", _answer(_openapi)), Route("/asyncapi.json", _answer(_asyncapi))]


# Who never asks for them pays nothing for all their types, either.
def _openapi() -> dict[str, Any]:
    from .openapi import openapi_document

    return openapi_document()


def _asyncapi() -> dict[str, Any]:
    from .asyncapi import asyncapi_document

    return asyncapi_document()


def _answer(document: Callable[[], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    @cache
    def made() -> tuple[bytes, str]:
        body = to_json(document())
        return body, f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'

    async def answer(request: Request) -> Response:
        body, etag = await asyncio.to_thread(made)  # what takes long is not done between two ticks
        headers = {"access-control-allow-origin": "*", "cache-control": "no-cache", "etag": etag}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    return answer
