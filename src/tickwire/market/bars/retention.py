"""How long the bars of one source are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...klines import SECONDS
from ...model import KlineType
from .archive import Archive
from .bars import Bars
from .pasts import Pasts

KEPT_IN_MEMORY = 5_000
"""Bars of each type that are kept of each code once they are kept in memory only."""


class Retention:
    """Lets go of bars that are too old."""

    def __init__(
        self,
        days: Mapping[int, int],
        archive: Archive,
        bars: Bars,
        pasts: Pasts,
        *,
        clock: Callable[[], float],
    ) -> None:
        """`days` says how many they are kept, by type; those of other types are kept for good. `clock` is in
        seconds since the epoch."""
        self.days = days
        self._archive = archive
        self._bars = bars
        self._pasts = pasts
        self._clock = clock

    async def prune(self) -> None:
        """Lets go of what is older. Raises StoreError."""
        for kline_type, days in self.days.items():
            await self._archive.prune(KlineType(kline_type), int(self._clock()) - days * 86400)
        if self._archive.in_memory:
            await self._prune_memory()

    async def _prune_memory(self) -> None:
        for kline_type in KlineType:
            before = max(self._bars.newest, 0) - KEPT_IN_MEMORY * SECONDS.get(kline_type, 86_400)
            await self._archive.prune(kline_type, before)
            self._pasts.forget(kline_type, before)
