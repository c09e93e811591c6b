"""Codes that no catalogue has: has upstream asked what they are, and keeps what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple, TypeAlias

import structlog

from ..errors import InputError, SourceError
from ..model import Catalogue, Family, Instrument
from ..sources.relay import Relay
from ..store import Backlog, InstrumentStore
from ..wire import CODE_INVALID, Ret
from .feeds import Feed, Feeds
from .streams import Streams

WAIT = 8.0
"""Seconds that a request over HTTP waits for upstream to say what a code is: less than a relay of ours waits
for us."""
MOST_WAITING = 5_000
"""Codes that are looked for at a time."""

log = structlog.get_logger()

Code: TypeAlias = tuple[Family, str]


class Learner(NamedTuple):
    """A source that can ask upstream what a code is."""

    feed: Feed
    relay: Relay


class Discovery:
    """Has sources asked about unknown codes, and keeps what they learn.

    What was learned in an earlier run is known again at once, before anything is served.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        feeds: Feeds,
        streams: Streams,
        store: InstrumentStore,
        writes: Backlog,
        *,
        seekers: Callable[[Family, str], Collection[str]],
        found: Callable[..., None],
    ) -> None:
        """`writes` writes what goes into `store`. `seekers` are the tokens that wait for a code; `found` is
        told that it is known what a code is, or that it is not, and whether nobody has it then. Raises
        StoreError.
        """
        self._catalogue = catalogue
        self._streams = streams
        self._store = store
        self._writes = writes
        self._seekers = seekers
        self._tell = found
        self._learners = [Learner(one, one.source) for one in feeds if isinstance(one.source, Relay)]
        self._finding: dict[Code, asyncio.Task[None]] = {}
        for _, relay in self._learners:
            for instrument in store.learned(relay.name):
                relay.learn(instrument)
                self._know(instrument)
            relay.attend(learned=self._learned, awaited=self._awaited)

    @property
    def waiting(self) -> int:
        """Codes of which no upstream has said yet what they are."""
        return len(self._finding)

    def is_sought(self, family: Family, name: str) -> bool:
        """Whether upstream has not said yet what that code is."""
        return (family, name) in self._finding

    def refusal(self, family: Family, name: str) -> Ret | None:
        """Why a code need not be asked about: no source can, or all have said no. None if it can be."""
        refusals = [one.relay.finder.refusal(family, name) for one in self._learners if one.feed.owns(name)]
        if not refusals:
            return CODE_INVALID
        return None if None in refusals else refusals[0]

    def can_seek(self, name: str) -> bool:
        """Whether upstream can be asked what one more code is: not too many wait."""
        return len(self._finding) < MOST_WAITING and not all(one.finder.is_full for one in self._relays(name))

    async def seek(self, family: Family, name: str) -> None:
        """Has upstream asked what a code is, unless it is being asked, or is known by now."""
        code = family, name
        if code in self._finding:
            return
        if self._catalogue.find(family, name) is not None or not self.can_seek(name):
            self._tell(*code, nobodys=False)
            return
        self._finding[code] = asyncio.create_task(self._find(family, name, self._relays(name)))
        self._finding[code].add_done_callback(partial(self._found, code))

    async def find(self, family: Family, names: Iterable[str]) -> None:
        """Has upstream asked what these codes are, and waits until it has said so, or waits no longer."""
        waiting = []
        for name in names:
            await self.seek(family, name)
            if (task := self._finding.get((family, name))) is not None:
                waiting.append(task)
        if waiting:
            await asyncio.wait(waiting, timeout=WAIT)

    def _relays(self, name: str) -> list[Relay]:
        return [one.relay for one in self._learners if one.feed.owns(name)]

    async def end(self) -> None:
        """Nobody is asked any more."""
        tasks = [*self._finding.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _awaited(self, family: Family, name: str) -> Collection[str]:
        """The tokens for whose sake upstream is to say what that code is; nameless where the settings want
        it."""
        return self._seekers(family, name) if (family, name) in self._finding else ("",)

    async def _find(self, family: Family, name: str, relays: Iterable[Relay]) -> None:
        for relay in relays:
            with contextlib.suppress(SourceError):  # which has been said
                if isinstance(await relay.finder.find(family, name), Instrument):
                    return

    def _found(self, code: Code, task: asyncio.Task[None]) -> None:
        del self._finding[code]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a code cannot be looked for", code=code[1], exc_info=error)
        asked = (one.relay.finder.refusal(*code) for one in self._learners if one.feed.owns(code[1]))
        is_known = self._catalogue.find(*code) is not None
        self._tell(*code, nobodys=not is_known and all(ret == CODE_INVALID for ret in asked))

    def _know(self, instrument: Instrument) -> None:
        """An instrument is known, or in other numbers than before."""
        code = instrument.code
        if code not in self._catalogue:
            with contextlib.suppress(InputError):  # a publisher has given the name to another one
                self._catalogue.add(instrument)
        elif self._catalogue[code].learned == instrument.learned:
            self._catalogue.redefine(instrument)
            self._streams.redefine(instrument)

    def _learned(self, instrument: Instrument) -> None:
        self._know(instrument)
        self._writes.put(partial(self._store.put, instrument))
