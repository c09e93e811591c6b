"""What is counted of connections and requests, for the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from http import HTTPStatus

from starlette.routing import BaseRoute, Mount, Route

from ..model import Ending, Histogram

DURATIONS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: the upper bounds of the histogram."""
UNKNOWN, UNREAD = "(unknown)", "(unread)"
"""Stand for the route of a path that there is not, and of a request that was not read to its end."""
GONE = 499
"""The status of a request whose client was gone before its answer: none that HTTP knows."""
CLOSE_CODES = {*range(1000, 1004), *range(1005, 1015)}
"""Those that RFC 6455 and its registry name; a client may send any."""
EXPECTED = (
    (Ending.CLIENT, (1000, 1001, 1005)),
    (Ending.LOST, (1006,)),
    (Ending.HEARTBEAT, (1008,)),
    (Ending.UNFINISHED, (1008,)),
    (Ending.PROTOCOL, (1002, 1003, 1007, 1009)),
    (Ending.RATE, (1008,)),
    (Ending.SLOW, (1006, 1008)),
    (Ending.TOKEN, (1008,)),
    (Ending.TAKEOVER, (1008,)),
    (Ending.SHUTDOWN, (1001,)),
    (Ending.ERROR, (1006, 1011)),
)
"""What there is mostly: told as 0 before the first, so that the first one is seen to rise."""


class Step(StrEnum):
    """What a connection begins with."""

    TLS = "tls"
    HTTP = "http"
    WEBSOCKET = "websocket"


class Outcome(StrEnum):
    """What became of it."""

    ACCEPTED = "accepted"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105
    FORBIDDEN = "forbidden"
    OVER_LIMIT = "over_limit"
    BAD_REQUEST = "bad_request"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class Traffic:
    """Counts connections, requests and their ends. Every label is one of few."""

    def __init__(self) -> None:
        self.handshakes = Counter({(step, outcome): 0 for step in Step for outcome in Outcome})
        self.closes = Counter({(str(code), why): 0 for why, codes in EXPECTED for code in codes})
        self.requests: Counter[tuple[str, int]] = Counter()
        self.durations: dict[str, Histogram] = {}
        self.answered_bytes = 0
        """Of answers over WebSockets, and of all else that is no push."""

    def shook_hands(self, step: Step, outcome: Outcome) -> None:
        """A connection began, or did not."""
        self.handshakes[step, outcome] += 1

    def upgraded(self, status: int) -> None:
        """A request to upgrade to a WebSocket was answered."""
        self.shook_hands(Step.WEBSOCKET, _outcome(status))

    def ended(self, code: int, why: Ending) -> None:
        """A WebSocket has ended that had begun."""
        self.closes[str(code) if code in CLOSE_CODES else "other", why] += 1

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request over HTTP was answered."""
        self.requests[route, status] += 1
        durations = self.durations.get(route)
        if durations is None:
            durations = self.durations[route] = Histogram(DURATIONS)
        durations.add(seconds)

    def unread(self, status: int) -> None:
        """A request was answered before it was read to its end, since that cannot be."""
        self.requests[UNREAD, status] += 1


class Routes:
    """The names of all paths, so that a stranger cannot make up more of them."""

    def __init__(self, paths: Iterable[str], routes: Iterable[BaseRoute]) -> None:
        """`paths` stand for themselves; what a route has below a fixed part is one: `/docs/*`."""
        self._names = {path: path for path in paths}
        below: set[str] = set()
        for route in routes:
            if isinstance(route, Mount):
                below.add(f"{route.path}/")
            elif isinstance(route, Route):
                fixed, brace, _ = route.path.partition("{")
                if brace:
                    below.add(fixed)
                else:
                    self._names[fixed] = fixed
        self._below = sorted(below, key=len, reverse=True)

    def name(self, path: str) -> str:
        """Which route a path belongs to."""
        if (name := self._names.get(path)) is not None:
            return name
        return next((f"{one}*" for one in self._below if path.startswith(one)), UNKNOWN)


def _outcome(status: int) -> Outcome:
    match status:
        case HTTPStatus.SWITCHING_PROTOCOLS:
            return Outcome.ACCEPTED
        case HTTPStatus.UNAUTHORIZED:
            return Outcome.UNKNOWN_TOKEN
        case HTTPStatus.FORBIDDEN:
            return Outcome.FORBIDDEN
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return Outcome.OVER_LIMIT
    return Outcome.FAILED if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Outcome.BAD_REQUEST
