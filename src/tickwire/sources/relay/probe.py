"""Asks a Tickwire upstream what its data is."""

from __future__ import annotations

import asyncio

import httpx
import msgspec

from ...client import ClientError, Network, http_url
from ...client.http import http_client

TIMEOUT = 5.0
"""Seconds that the answer may take."""
MOST_BYTES = 65_536


class Readiness(msgspec.Struct):
    """What a Tickwire says of itself: whether its data is made up, and the name of its source."""

    simulated: bool
    source: str = ""


async def ask_readiness(url: str, network: Network) -> Readiness | None:
    """What /readyz of the server at `url` says; it needs no token. None if it has no such page."""
    try:
        async with (
            asyncio.timeout(TIMEOUT),
            http_client(url, network, TIMEOUT) as client,
            client.stream("GET", f"{http_url(url, None)}/readyz") as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    return None
            return msgspec.json.decode(body, type=Readiness)
    except (ClientError, TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
