"""Entries of clients' lists that mean many codes: those whose names match, as soon as they run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

from ..bus import Interest
from ..model import Kind
from ..wire import Want
from ..wire.items import Item, State
from ..wire.session import Pattern
from .admission import Caller, Peer
from .first_bars import FirstBars
from .hub import Hub, Topic
from .sharing import Sharing

MOST_PATTERNS = 20
"""Entries of that kind of one client: each code that begins to run is held against all of them."""

Key: TypeAlias = tuple[str, int]
"""A name and a type of bars."""


class Patterns:
    """What clients ask for by pattern, and what stands in their lists because of that alone.

    A code runs when it has had a trade, or for books a book: whoever asks by pattern starts none. Those that
    begin in one turn of the loop join lists together.
    """

    def __init__(
        self,
        hub: Hub,
        sharing: Sharing,
        first_bars: FirstBars,
        callers: Mapping[Peer, Caller],
        schedule: Callable[[Callable[[], None]], object],
        interest: Interest,
    ) -> None:
        self._hub = hub
        self._sharing = sharing
        self._first_bars = first_bars
        self._callers = callers
        self._schedule = schedule
        self._interest = interest
        self._of: dict[Peer, dict[Kind, dict[Key, Pattern]]] = {}
        self._implied: dict[Peer, dict[Kind, set[Key]]] = {}
        self._begun: list[Topic] = []

    def add(
        self, client: Peer, caller: Caller, kind: Kind, pattern: Pattern, wants: dict[Key, Want]
    ) -> State:
        """Takes an entry, and puts what it means now into that list, as far as there is room."""
        mine = self._of.get(client, {})
        key = pattern.name, pattern.kline_type
        if mine.get(kind, {}).get(key) == pattern:
            return "already"
        if sum(map(len, mine.values())) >= MOST_PATTERNS:
            return "over_limit"
        if client not in self._of:
            self._interest.count_all(True)
        self._of.setdefault(client, {}).setdefault(kind, {})[key] = pattern
        self._imply(client, caller, kind, wants, self._hub.running(kind.flow))
        return "ok"

    def remove(self, client: Peer, kind: Kind, key: Key, wants: dict[Key, Want]) -> bool:
        """Takes an entry away, and from that list what stands there because of it alone. Returns whether it
        was there."""
        mine = self._of.get(client, {}).get(kind, {})
        if mine.pop(key, None) is None:
            return False
        if not any(self._of[client].values()):
            self._drop(client)
        implied = self._implied.get(client, {}).get(kind, set())
        for one in [*implied]:
            if one in wants and not self._means(client, kind, wants[one]):
                implied.discard(one)
                self._hub.let_go(client, kind, wants.pop(one))
        return True

    def name(self, client: Peer, kind: Kind, key: Key) -> None:
        """The client has named a code itself, which so stands in its list without any pattern."""
        self._implied.get(client, {}).get(kind, set()).discard(key)

    def keep(self, client: Peer, kind: Kind, want: Want) -> bool:
        """The client has removed a code that it had named. Returns whether it stays because of a pattern."""
        if means := self._means(client, kind, want):
            self._implied.setdefault(client, {}).setdefault(kind, set()).add((want.name, want.kline_type))
        return means

    def implied(self, client: Peer, kind: Kind) -> Collection[Key]:
        """What stands in a list because of patterns alone."""
        return self._implied.get(client, {}).get(kind, ())

    def items(self, client: Peer) -> list[Item]:
        """The entries of a client."""
        return [
            Item(kind.name.lower(), one.name, one.depth, one.kline_type)  # type: ignore[arg-type]
            for kind, some in self._of.get(client, {}).items()
            for one in some.values()
        ]

    def forget(self, client: Peer, kinds: Iterable[Kind] = tuple(Kind)) -> None:
        """The client's lists of these kinds are others now."""
        for kind in kinds:
            self._implied.get(client, {}).pop(kind, None)
            self._of.get(client, {}).pop(kind, None)
        if client in self._of and not any(self._of[client].values()):
            self._drop(client)
        if not self._implied.get(client, True):
            del self._implied[client]

    def _drop(self, client: Peer) -> None:
        """It has no pattern any more."""
        del self._of[client]
        self._interest.count_all(False)

    def begun(self, topic: Topic) -> None:
        """A stream has its first event."""
        if self._of:
            if not self._begun:
                self._schedule(self._join)
            self._begun.append(topic)

    def _join(self) -> None:
        begun, self._begun = self._begun, []
        for client in [*self._of]:
            if (caller := self._callers.get(client)) is not None:
                for kind in [*self._of[client]]:
                    self._join_one(client, caller, kind, [one for one in begun if one.kind is kind.flow])

    def _join_one(self, client: Peer, caller: Caller, kind: Kind, begun: Collection[Topic]) -> None:
        if not any(one.means(topic.instrument) for topic in begun for one in self._of[client][kind].values()):
            return
        wants = self._hub.wants(client, kind)
        if not (fresh := self._imply(client, caller, kind, wants, begun)):
            return
        self._sharing.subscribe(kind, [want.instrument for want in wants.values()], caller)
        if frames := self._hub.subscribe(client, kind, wants.values()):
            self._hub.tell(client, frames)
        if kind is Kind.KLINE:
            self._first_bars.show(client, fresh)

    def _imply(
        self, client: Peer, caller: Caller, kind: Kind, wants: dict[Key, Want], running: Iterable[Topic]
    ) -> list[Want]:
        """Puts into a list what the client's patterns mean of these. Returns it."""
        found: list[Want] = []
        patterns = self._of[client][kind].values()
        for topic in running:
            instrument = topic.instrument
            if instrument.family is not caller.client.family:
                continue
            for pattern in patterns:
                key = instrument.code, pattern.kline_type
                if key in wants or not pattern.means(instrument) or caller.objection(instrument) is not None:
                    continue
                if len(wants) >= caller.most_codes:
                    return found
                wants[key] = pattern.want(instrument)
                self._implied.setdefault(client, {}).setdefault(kind, set()).add(key)
                found.append(wants[key])
        return found

    def _means(self, client: Peer, kind: Kind, want: Want) -> bool:
        if want.name != want.instrument.code:  # an alias
            return False
        patterns = self._of.get(client, {}).get(kind, {}).values()
        return any(one.kline_type == want.kline_type and one.means(want.instrument) for one in patterns)
