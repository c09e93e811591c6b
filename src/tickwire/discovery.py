"""Codes that no catalogue has: who asks for them, and what becomes of that once upstream has answered."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import NamedTuple, TypeAlias

import structlog

from .errors import InputError, SourceError
from .gateway.admission import Caller, Peer
from .market.feeds import Feed, Feeds
from .market.streams import Streams
from .model import Catalogue, Family, Instrument, Kind, looks_like
from .sources.relay import Finder, Relay
from .store import Backlog, InstrumentStore
from .wire import CODE_INVALID, TOO_FAST, Deviation, Ret, Sought, Want

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
    """Has sources asked about unknown codes, tells the engine what they learn, and keeps it.

    What was learned in an earlier run is known again at once, before anything is served.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        feeds: Feeds,
        streams: Streams,
        callers: Mapping[Peer, Caller],
        store: InstrumentStore,
        writes: Backlog,
        *,
        join: Callable[[Peer, Kind, Want], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`join` adds a code to the list of a client that waits for it. Raises StoreError."""
        self.turned_away = 0
        """Codes that upstream was not asked about since a token, or all together, asked about too many."""
        self._catalogue = catalogue
        self._streams = streams
        self._callers = callers
        self._store = store
        self._writes = writes
        self._join = join
        self._clock = clock
        self._learners = [Learner(one, one.source) for one in feeds if isinstance(one.source, Relay)]
        self._finding: dict[Code, asyncio.Task[None]] = {}
        self._sought: dict[Peer, dict[Kind, dict[Code, list[Sought]]]] = {}
        self._seekers: dict[Code, dict[Peer, None]] = {}
        self._requests: dict[Code, Counter[str]] = {}  # over HTTP, by the token that waits
        for _, relay in self._learners:
            relay.learned = self._know
            for instrument in store.learned(relay.name):
                relay.learn(instrument)
        for _, relay in self._learners:
            relay.learned = self._learned
            relay.finder.awaited = self._awaited

    @property
    def waiting(self) -> int:
        """Codes of which no upstream has said yet what they are."""
        return len(self._finding)

    def finders(self) -> list[tuple[str, Finder]]:
        """What asks the upstreams about codes, each with the name of its source."""
        return [(relay.name, relay.finder) for _, relay in self._learners]

    # What clients ask for.
    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has upstream asked what a code is. Returns None if its answer is to come, else what the code is
        answered with now."""
        if (family, name) in self._finding:
            return None
        learners = [one for one in self._learners if one.feed.owns(name)]
        if not learners or not looks_like(family, name) or not caller.may_read(family, name):
            return CODE_INVALID
        if any(self._catalogue.find(one, name) for one in Family):
            return CODE_INVALID
        refusals = [relay.finder.refusal(family, name) for _, relay in learners]
        if None not in refusals:
            return refusals[0]
        if not caller.account.seek(self._clock()):
            return self._turn_away("this token asks about too many unknown codes", caller)
        if len(self._finding) >= MOST_WAITING or all(relay.finder.is_full for _, relay in learners):
            return self._turn_away("too many unknown codes wait", caller)
        code, relays = (family, name), [relay for _, relay in learners]
        self._finding[code] = asyncio.create_task(self._find(family, name, relays))
        self._finding[code].add_done_callback(partial(self._found, code))
        return None

    async def find(self, caller: Caller, family: Family, names: Iterable[str]) -> None:
        """Waits until upstream has said what these codes are, or waits no longer."""
        waiting = {code: task for name in names if (task := self._finding.get(code := (family, name)))}
        if not waiting:
            return
        label = caller.client.label
        for code in waiting:
            self._requests.setdefault(code, Counter())[label] += 1
        try:
            await asyncio.wait(waiting.values(), timeout=WAIT)
        finally:
            for code in waiting:
                requests = self._requests[code]
                requests[label] -= 1
                if not requests[label]:
                    del requests[label]
                if not requests:
                    del self._requests[code]

    def refusal(self, family: Family, name: str) -> Ret:
        """What a code is answered with that upstream was asked about and that is not known."""
        found = (one.relay.finder.refusal(family, name) for one in self._learners if one.feed.owns(name))
        return next((ret for ret in found if ret is not None), CODE_INVALID)

    def is_sought(self, family: Family, name: str) -> bool:
        """Whether upstream has not said yet what that code is."""
        return (family, name) in self._finding

    def watch(self, client: Peer, family: Family, kind: Kind, sought: Collection[Sought]) -> None:
        """These are to join a client's list of that kind once they are known, in place of those before."""
        self.forget(client, (kind,))
        for one in sought:
            code = family, one.name
            if code in self._finding:
                self._sought.setdefault(client, {}).setdefault(kind, {}).setdefault(code, []).append(one)
                self._seekers.setdefault(code, {})[client] = None

    def forget(self, client: Peer, kinds: Iterable[Kind] = tuple(Kind)) -> None:
        """The client waits for nothing of these kinds any more."""
        lists = self._sought.get(client)
        if lists is None:
            return
        gone = {code for kind in kinds for code in lists.pop(kind, ())}
        for code in gone.difference(*lists.values()):
            seekers = self._seekers.get(code, {})
            seekers.pop(client, None)
            if not seekers:
                self._seekers.pop(code, None)
        if not lists:
            del self._sought[client]

    async def end(self) -> None:
        """Nobody is asked any more."""
        tasks = [*self._finding.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _awaited(self, family: Family, name: str) -> Collection[str]:
        """The tokens for whose sake upstream is to say what that code is; nameless where the settings want
        it."""
        code = family, name
        if code not in self._finding:
            return ("",)
        callers = (self._callers.get(client) for client in self._seekers.get(code, ()))
        labels = {one.client.label for one in callers if one is not None}
        return labels.union(self._requests.get(code, ()))

    # What upstream answers.
    async def _find(self, family: Family, name: str, relays: Iterable[Relay]) -> None:
        for relay in relays:
            with contextlib.suppress(SourceError):  # which has been said
                if isinstance(await relay.finder.find(family, name), Instrument):
                    return

    def _found(self, code: Code, task: asyncio.Task[None]) -> None:
        """It is known what a code is, or that nobody has it: those who wait for it get it, or nothing."""
        del self._finding[code]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a code cannot be looked for", code=code[1], exc_info=error)
        instrument = self._catalogue.find(*code)
        asked = (relay.finder.refusal(*code) for feed, relay in self._learners if feed.owns(code[1]))
        nobodys = instrument is None and all(ret == CODE_INVALID for ret in asked)
        for client in self._seekers.pop(code, ()):
            if nobodys and (caller := self._callers.get(client)) is not None:
                caller.report.note_each(Deviation.UNKNOWN_CODE, [code[1]])
            lists = self._sought.get(client, {})
            for kind, sought in [*lists.items()]:
                wanted = sought.pop(code, ())
                if not sought:
                    del lists[kind]
                if instrument is not None:
                    self._give(client, kind, [one.want(instrument) for one in wanted])
            if not lists:
                self._sought.pop(client, None)

    def _give(self, client: Peer, kind: Kind, wants: Iterable[Want]) -> None:
        for want in wants:
            try:
                self._join(client, kind, want)
            except Exception:  # the other clients are to get it all the same
                log.exception("a client does not get a code that it waits for", code=want.name)

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

    def _turn_away(self, why: str, caller: Caller) -> Ret:
        self.turned_away += 1
        if set(str(self.turned_away)[1:]) <= {"0"} and str(self.turned_away)[0] == "1":
            token = None if caller.token is None else caller.token.id
            log.warning(f"{why}: upstream is not asked", token=token, codes=self.turned_away)
        return TOO_FAST
