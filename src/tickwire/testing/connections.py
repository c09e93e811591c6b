"""The open WebSockets of a server, and who waits for how many."""

from __future__ import annotations

from concurrent.futures import Future

from ..assembly import Engine
from ..gateway.admission import Caller


class Connections:
    """Sees every change, so that a number which holds for a moment only is not missed.

    To be used in the thread of the server.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: list[tuple[int, Future[None]]] = []
        self._left: dict[int, dict[str, int]] = {}
        engine.gateway.connections_changed = self._tell
        engine.gateway.left = self._keep

    def numbers(self) -> list[int]:
        """The numbers of those that are open, in order."""
        return sorted(caller.client.connection for caller in self._engine.gateway.callers.values())

    def reached(self, count: int) -> Future[None]:
        """Done as soon as that many are open."""
        future: Future[None] = Future()
        self._waiting.append((count, future))
        self._tell()
        return future

    def deviations(self) -> dict[int, dict[str, int]]:
        """What each did that the documents do not allow, those that have ended too, by their numbers."""
        alive = {
            caller.client.connection: caller.report.counts()
            for caller in self._engine.gateway.callers.values()
        }
        return {number: counts for number, counts in sorted((self._left | alive).items()) if counts}

    def _keep(self, caller: Caller) -> None:
        self._left[caller.client.connection] = caller.report.counts()

    def _tell(self) -> None:
        count = len(self._engine.gateway.callers)
        for wanted, future in self._waiting:
            if wanted == count:
                future.set_result(None)
        self._waiting = [one for one in self._waiting if not one[1].done()]
