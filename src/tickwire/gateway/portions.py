"""How long those are served who get what they did not have yet, in each turn of the loop: live goes on."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

WOKEN, OF_TOKEN = 64, 8
"""Those who wait that a turn lets ask again, and those of a token, the first ones."""


class Portions:
    """So many seconds of a turn for all together, and for those of one token; who comes later waits."""

    def __init__(self, most: float, of_token: float, clock: Callable[[], float]) -> None:
        """`clock` is monotonic, in seconds."""
        self._most = most
        self._of_token = of_token
        self._clock = clock
        self._begun = False
        self._spent = 0.0
        self._of: Counter[Hashable] = Counter()
        self._places = itertools.count()
        self._waiting: dict[Hashable, list[tuple[int, int, asyncio.Future[None]]]] = {}
        """By token, of which the first is the next."""
        self._woken: set[Hashable] = set()
        """Tokens of which some were let ask again in this turn."""

    def place(self) -> int:
        """A place behind all who have one."""
        return next(self._places)

    async def wait(self, token: Hashable, place: int | None = None) -> None:
        """Returns when one of that token may be served: those first who have the first places. Without one
        it is behind all others each time."""
        if place is None:
            place = self.place()
        while self._spent >= self._most or (self._of[token] >= self._of_token and self._others(token)):
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting.setdefault(token, []), (place, self.place(), turn))
            await turn

    def _others(self, token: Hashable) -> bool:
        """Whether some of another token wait."""
        return bool(self._woken - {token}) or len(self._waiting) > (token in self._waiting)

    @contextmanager
    def serve(self, token: Hashable) -> Iterator[None]:
        """One of that token is served within."""
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            self._spent += took
            self._of[token] += took  # type: ignore[assignment]
            if not self._begun:
                self._begun = True
                asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        """The turn is over."""
        self._spent, self._begun = 0.0, False
        self._of.clear()
        self._woken.clear()
        left = WOKEN
        for token in [*self._waiting]:
            waiting = self._waiting.pop(token)
            woken = 0
            while waiting and woken < min(left, OF_TOKEN):
                if not (turn := heapq.heappop(waiting)[-1]).done():
                    turn.set_result(None)
                    woken += 1
            left -= woken
            if woken:
                self._woken.add(token)
            if waiting:
                self._waiting[token] = waiting  # behind the others
            if not left:
                break
        if self._waiting:
            self._begun = True
            asyncio.get_running_loop().call_soon(self._end)
