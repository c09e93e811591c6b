"""Tells the service manager how the server is, as long as it lives."""

from __future__ import annotations

import asyncio
import contextlib

from ..assembly import Engine, GatewayEngine
from ..machine import Supervisor

BEAT = 5.0
"""Seconds between two times that it is told, at the most."""
PATIENCE = 30
"""Seconds that a start or an end may take beyond each time that it is told of it."""

STARTS = "starting: files are read"
STOPS = "stopping: clients are sent away, and what was counted is written"


class Supervision:
    """A watchdog is answered by a task of the event loop, so it starves when that stands, and only while all
    tasks of the engine are there."""

    def __init__(self, engine: Engine | GatewayEngine, supervisor: Supervisor) -> None:
        self._engine = engine
        self._supervisor = supervisor
        self._stopping = False
        self._ready_owed = True  # whether it is yet to be told that the server is ready

    async def run(self) -> None:
        """Says when the server is ready, then time and again that it lives. Never ends."""
        beat = min(BEAT, self._supervisor.watchdog / 3 or BEAT)
        while not self._engine.began.is_set():
            self._tell_patience(STARTS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(beat):
                    await self._engine.began.wait()
        while True:
            if self._stopping:
                self._tell_patience(STOPS)
            elif self._engine.alive:
                if self._ready_owed:
                    self._ready_owed = not self._supervisor.tell(READY=1)
                self._supervisor.tell(WATCHDOG=1, STATUS=self._status())
            await asyncio.sleep(beat)

    def reloading(self) -> None:
        """Settings and files are about to be read again."""
        self._ready_owed = False
        now = int(self._engine.machine.monotonic() * 1e6)
        self._supervisor.tell(RELOADING=1, MONOTONIC_USEC=now)

    def reloaded(self, *, well: bool) -> None:
        """They were, and taken on if that went well."""
        status = self._status() if well else "nothing new was taken on at the last reload, the log says why"
        self._ready_owed = not self._supervisor.tell(READY=1, STATUS=status)

    def stopping(self) -> None:
        """The server begins to stop."""
        self._stopping = True
        self._supervisor.tell(STOPPING=1)
        self._tell_patience(STOPS)

    def _tell_patience(self, status: str) -> None:
        self._supervisor.tell(WATCHDOG=1, EXTEND_TIMEOUT_USEC=PATIENCE * 10**6, STATUS=status)

    def _status(self) -> str:
        sources = ", ".join(f"{one.source} {one.status}" for one in self._engine.market.statuses())
        return f"{len(self._engine.gateway.callers)} clients; {sources}"
