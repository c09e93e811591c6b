"""What stands between uvicorn and a connection of HTTP: when it is read, and when an answer ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Message, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Flow(FlowControl):
    """uvicorn's wish to read on, or not; the protocol decides, since it also holds what is not parsed yet.
    `changed` is called when reading may go on."""

    def __init__(self, transport: asyncio.Transport, changed: Callable[[], None]) -> None:
        super().__init__(transport)
        self._changed = changed

    def pause_reading(self) -> None:
        self.read_paused = True

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._changed()


def closing(cycle: RequestResponseCycle, send: Send) -> Send:
    """Ends the connection with an answer that comes while the client still waits for `100 Continue`: it may
    send its body now or not, and there is no telling (RFC 9110, 10.1.1)."""

    async def sent(message: Message) -> None:
        if cycle.waiting_for_100_continue:
            cycle.keep_alive = False
        await send(message)

    return sent
