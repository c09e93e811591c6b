"""A lane: the clients that want exactly the same."""

from __future__ import annotations

from typing import Protocol

from ...model import Kind
from .topic import View


class Client(Protocol):
    """Who receives frames."""

    def push(self, data: bytes) -> None:
        """Takes whole frames, without ever waiting. May leave the hub while it does."""

    def reset(self) -> None:
        """Is ended at once, because it failed."""


class Lane:
    """Clients with the same set of views. They get the same bytes, joined once per flush."""

    __slots__ = ("clients", "pending", "streams", "views")

    def __init__(self, views: frozenset[View], streams: frozenset[tuple[Kind, str]]) -> None:
        """`streams` are the kinds and codes that the views are made of."""
        self.views = views
        self.streams = streams
        self.clients: dict[Client, None] = {}
        self.pending: list[bytes] = []

    @property
    def pushes(self) -> int:
        """How many events its views have carried."""
        return sum(view.carried for view in self.views)
