"""The open WebSockets of a server, and who waits for how many."""

from __future__ import annotations

from concurrent.futures import Future

from ..engine import Engine


class Connections:
    """Sees every change, so that a number which holds for a moment only is not missed.

    To be used in the thread of the server.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[int, Future[None]]] = []
        engine.connections_changed = self._tell

    def numbers(self) -> list[int]:
        """The numbers of those that are open, in order."""
        return sorted(caller.client.connection for caller in self._engine.callers.values())

    def reached(self, count: int) -> Future[None]:
        """Done as soon as that many are open."""
        future: Future[None] = Future()
        self._waiting.append((count, future))
        self._tell()
        return future

    def _tell(self) -> None:
        count = len(self._engine.callers)
        for wanted, future in self._waiting:
            if wanted == count:
                future.set_result(None)
        self._waiting = [one for one in self._waiting if not one[1].done()]
