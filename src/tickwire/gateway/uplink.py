"""What a client side says to the market without waiting for an answer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from ..errors import StoreError

log = structlog.get_logger()


class Uplink:
    """Calls of the market side that wait for their turn: in order, in a task of their own.

    One that fails is left out: what matters of it is said again when wishes are renewed.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], Awaitable[object]]] = deque()
        self._some = asyncio.Event()
        self._failing = False

    def say(self, call: Callable[..., Awaitable[object]], *arguments: object, **named: Any) -> None:
        """Calls it soon."""
        self._calls.append(partial(call, *arguments, **named))
        self._some.set()

    async def run(self) -> None:
        """Makes the calls. Never ends."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._calls:
                call = self._calls.popleft()
                try:
                    await call()
                except StoreError as error:
                    if not self._failing:
                        text = "the market cannot be told what is wished, it will be told again"
                        log.warning(text, reason=str(error))
                    self._failing = True
                except Exception:
                    if not self._failing:
                        log.exception("the market cannot be told what is wished, it will be told again")
                    self._failing = True
                else:
                    self._failing = False
