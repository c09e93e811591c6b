"""A playback of a market side in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from ..model import Instrument, Kind, Position
from .answers import Columns
from .messages import Close, Lack, PageTold, PlaybackTold


class RemotePlayback:
    """A playback of a market side in another process, see `Playback`."""

    def __init__(
        self,
        told: PlaybackTold,
        more: Callable[[int], Awaitable[PageTold]],
        say: Callable[[Lack | Close], None],
    ) -> None:
        """`more` asks for its next page, `say` says something of it."""
        self.begin, self.end = told.begin, told.end
        self.recorded: Collection[tuple[Kind, str]] = frozenset(told.recorded)
        self._more = more
        self._say = say
        self._number = told.number
        self._instruments = dict(told.instruments)
        self._positions: dict[tuple[Kind, str], Position | None] = {}
        self._is_over = False

    async def more(self) -> Columns | None:
        """The next of them. Raises InputError."""
        from .tables import tables_read

        page = await self._more(self._number)
        self._instruments |= page.instruments
        self._positions |= {(kind, code): place for kind, code, place in page.positions}
        if page.over:
            return None
        return Columns(await asyncio.to_thread(tables_read, page.tables), page.corrections, page.holes)

    def instrument(self, code: str) -> Instrument:
        """What a code is."""
        return self._instruments[code]

    def position(self, kind: Kind, code: str) -> Position | None:
        """Up to where a stream was given that is live."""
        return self._positions.get((kind, code))

    def lack(self) -> None:
        """Before the next event of each stream something is missing."""
        self._say(Lack(self._number))

    def close(self) -> None:
        """Nobody wants more of it."""
        if not self._is_over:
            self._is_over = True
            self._say(Close(self._number))
