"""The bodies of requests, bounded in size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Receive

from ..wire import MAX_MESSAGE, Refused
from ..wire.ret import BODY_STALLED, BODY_TOO_LARGE, BODY_TOO_SLOW, TOO_MANY_BODIES, Ret
from .bounds import Held, within

STALL = 30.0
"""Seconds in which something of a body must come."""
WHOLE = 60.0
"""Seconds in which a body that is read as a whole must be there."""
MOST_HELD = 64 * 1024 * 1024
"""Bytes that all bodies hold together while they are read."""

CUT = Ret(400, "the body ended early", 400)


class Gone(Exception):
    """The client has gone in the middle of a body."""


async def pieces(receive: Receive, stall: float) -> AsyncIterator[bytes]:
    """A body as it comes. Raises TimeoutError if nothing comes for `stall` seconds, or Gone."""
    more = True
    while more:
        async with within(stall):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        yield message.get("body", b"")
        more = message.get("more_body", False)


class Bodies:
    """Reads bodies of up to `MAX_MESSAGE` bytes as a whole."""

    def __init__(self) -> None:
        self._held = Held("bodies of requests", MOST_HELD)

    async def read(self, receive: Receive) -> bytes:
        """The whole body. Raises Refused: too large, too slow, too many at once, or the client is gone."""
        body = bytearray()
        end = asyncio.get_running_loop().time() + WHOLE
        try:
            async with within(WHOLE):
                async for piece in pieces(receive, STALL):
                    if len(body) + len(piece) > MAX_MESSAGE:
                        raise Refused(BODY_TOO_LARGE)
                    if not self._held.take(len(piece)):
                        raise Refused(TOO_MANY_BODIES, 1)
                    body += piece
        except TimeoutError:
            late = asyncio.get_running_loop().time() >= end
            raise Refused(BODY_TOO_SLOW if late else BODY_STALLED) from None
        except Gone:
            raise Refused(CUT) from None
        finally:
            self._held.give(len(body))
        return bytes(body)
