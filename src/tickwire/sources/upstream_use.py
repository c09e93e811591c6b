"""What a source uses of an account upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..model import Family, Kind

if TYPE_CHECKING:
    from ..client import Quota


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
