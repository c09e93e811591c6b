"""What a source uses of an account upstream."""

from __future__ import annotations

from typing import NamedTuple

from .events import Kind
from .instrument import Family


class Quota(NamedTuple):
    """How a limit stands: `left` of so many requests in so many seconds. `name` is that of an endpoint,
    `http` for all of them, or `day`."""

    name: str
    requests: int
    seconds: float
    left: int


class CodesInUse(NamedTuple):
    """Codes of a kind and family that are subscribed to upstream; `most` can be, None for no limit."""

    family: Family
    kind: Kind
    codes: frozenset[str]
    most: int | None


class UpstreamUse(NamedTuple):
    """What an account upstream is used for: requests over HTTP, how many of them wait for their turn, and
    streams. `connections` are open WebSockets by family, at most `most_connections` of each, None for no
    limit."""

    quotas: tuple[Quota, ...]
    waiting: int
    codes: tuple[CodesInUse, ...]
    connections: dict[Family, int]
    most_connections: int | None
