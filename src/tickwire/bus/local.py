"""A market side and client sides in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import structlog

from ..model import Family
from ..sandbox import Step
from ..wire import StatusData
from .answers import Statement
from .contract import Receiver, Speaker
from .speaking import heard

SLACK = 0.5
"""Seconds that a bus has beside those whom it asks."""

log = structlog.get_logger()


class Local:
    """The client sides that a market side tells what is no event of a stream.

    Nothing stands between the two sides: an event is handed to the inlet as the object it is, what is asked
    is a call, and both hold the same catalogue and the same sandbox. So this is only a list, and what keeps
    one client side from harming the others.
    """

    def __init__(self) -> None:
        self._receivers: list[Receiver] = []
        self._speakers: list[Speaker] = []

    def join(self, receiver: Receiver) -> None:
        """A client side comes."""
        self._receivers.append(receiver)

    def leave(self, receiver: Receiver) -> None:
        """It goes."""
        self._receivers.remove(receiver)

    def add(self, speaker: Speaker) -> None:
        """This one is asked for statements too."""
        self._speakers.append(speaker)

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        """What all say of themselves, see `Supplier`."""
        asked = [one for one in (*self._speakers, *self._receivers) if one.name != but]
        said = await asyncio.gather(*(heard(one, what, about, but, SLACK) for one in asked))
        return [statement for some in said for statement in some]

    def source_changed(self, status: StatusData) -> None:
        """See `Receiver`, as for the others."""
        self._tell(lambda one: one.source_changed(status))

    def scenarios_changed(self, begun: Collection[Step]) -> None:
        self._tell(lambda one: one.scenarios_changed(begun))

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        self._tell(lambda one: one.found(family, name, nobodys=nobodys))

    def seekers(self, family: Family, name: str) -> Collection[str]:
        """The tokens that wait for a code at any of them."""
        found = set[str]()
        self._tell(lambda one: found.update(one.seekers(family, name)))
        return found

    def _tell(self, tell: Callable[[Receiver], None]) -> None:
        for receiver in self._receivers:
            try:
                tell(receiver)
            except Exception:
                log.exception("a client side cannot be told something, the others are")
