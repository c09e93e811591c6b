"""How long those are served who get what they did not have yet, in each turn of the loop: live goes on."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

WOKEN = 64
"""Those who wait that a turn lets ask again, the first ones."""


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
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self, token: Hashable) -> None:
        """Returns when one of that token may be served."""
        while self._spent >= self._most or self._of[token] >= self._of_token:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn

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
        for _ in range(min(len(self._waiting), WOKEN)):
            if not (turn := self._waiting.popleft()).done():
                turn.set_result(None)
        if self._waiting:
            self._begun = True
            asyncio.get_running_loop().call_soon(self._end)
