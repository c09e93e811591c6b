"""What clients sent to a server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

SHOWN = 5
"""Messages that a timeout tells of."""


class Received(NamedTuple):
    """A message over a WebSocket, or a request over HTTP that passed token and limits.

    `connection` is the number of the WebSocket, 0 over HTTP. `path` is that of the upgrade or of the
    request, without its query; `text` the message, the value of `query=`, or the body. `deviations` are what
    in it the documents of AllTick do not allow, such as "number_as_text: depth_level"; empty if all is well.
    """

    connection: int
    path: str
    text: str
    deviations: tuple[str, ...] = ()

    def json(self) -> Any:
        """The text, decoded. Raises ValueError if it is not JSON."""
        return json.loads(self.text)


class Inbox:
    """All that was received, in order. May be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._received: list[Received] = []

    def put(self, one: Received) -> None:
        """Something has come."""
        with self._changed:
            self._received.append(one)
            self._changed.notify_all()

    def all(self) -> list[Received]:
        """A copy."""
        with self._changed:
            return self._received.copy()

    def wait_for(self, predicate: Callable[[Received], object], timeout: float) -> Received:
        """The first that fits, be it there already or still to come, within so many seconds.

        Raises TimeoutError.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            with self._changed:
                if not self._changed.wait_for(
                    lambda: len(self._received) > seen,  # noqa: B023  # called before `seen` changes
                    deadline - time.monotonic(),
                ):
                    raise TimeoutError(self._told(timeout))
                fresh = self._received[seen:]
            for one in fresh:  # outside of the lock: a predicate may call the server
                if predicate(one):
                    return one
            seen += len(fresh)

    def _told(self, timeout: float) -> str:
        last = "".join(f"\n  {one}" for one in self._received[-SHOWN:])
        came = f"{len(self._received)} messages did, the last of which:{last}" if last else "nothing did."
        return f"Nothing that fits came within {timeout:g} s; {came}"
