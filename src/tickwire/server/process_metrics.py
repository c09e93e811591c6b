"""What the metrics tell of any process: its event loop, and what its system says of it."""

from __future__ import annotations

import asyncio

import msgspec
from prometheus_client import Metric, ProcessCollector

from .families import counter, histogram, passed
from .lag import LoopLag


class ProcessMetrics:
    """Those of this process."""

    def __init__(self, lag: LoopLag) -> None:
        self._lag = lag
        self._process = ProcessCollector(registry=None)

    async def families(self) -> list[Metric]:
        """All of them."""
        lag = self._lag
        return [
            histogram("loop_lag_seconds", "How late the event loop came to a timer.", "", [(lag.lags,)]),
            counter("loop_blocked", "Times that the loop was blocked.", "", [(lag.blocked,)]),
            *await asyncio.to_thread(self._of_process),  # it counts all open files
        ]

    async def said(self, _: str) -> bytes:
        """The same for the process that asks, as `metrics.Part`."""
        return msgspec.msgpack.encode(([passed(one) for one in await self.families()], []))

    def _of_process(self) -> list[Metric]:
        try:
            return [*self._process.collect()]
        except ValueError:  # where files have no limit
            return []
