"""Lists of clients that change item by item, and what stands in them (28012, 28014)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import TypeAlias

from ..bus import Supplier
from ..model import Kind
from ..wire import Sought, Want
from ..wire.items import KIND, ChangedData, Item, ItemState, ListedData, State
from ..wire.session import Change, Entry, ListItems, Pattern
from ..wire.wanted import ANY
from .admission import Caller, Peer
from .first_bars import FirstBars
from .hub import Hub
from .patterns import Patterns
from .seeking import Seeking
from .sharing import Sharing

Key: TypeAlias = tuple[str, int]
"""A code under the name that the client uses, and a type of bars."""


class Changing:
    """Changes lists. What joins one counts against the plan as if the whole list had been asked for; where a
    list is full the rest is left out, item by item."""

    def __init__(
        self,
        hub: Hub,
        market: Supplier,
        seeking: Seeking,
        sharing: Sharing,
        first_bars: FirstBars,
        patterns: Patterns,
        callers: Mapping[Peer, Caller],
    ) -> None:
        self._hub = hub
        self._market = market
        self._seeking = seeking
        self._sharing = sharing
        self._first_bars = first_bars
        self._patterns = patterns
        self._callers = callers

    def items(self, client: Peer, asked: ListItems) -> bytes:
        """Answers what a client is subscribed to."""
        found = [
            _item(kind, want)
            for kind in Kind
            for key, want in self._hub.wants(client, kind).items()
            if key not in self._patterns.implied(client, kind)
        ]
        return asked.header.answer(ListedData([*found, *self._patterns.items(client)]))

    def change(self, client: Peer, change: Change) -> bytes:
        """Changes a client's lists; returns the answer, and the last event of each item that is new."""
        if (caller := self._callers.get(client)) is None:
            return b""
        self._hub.settle(client)
        self._hub.renew(client)
        lists = {kind: self._hub.wants(client, kind) for kind in Kind}
        removed = [_state(item, self._remove(client, caller, lists, item)) for item in change.removed]
        states = self._add_all(client, caller, lists, change.added)
        taken = [entry for entry, state in zip(change.added, states, strict=True) if state == "ok"]
        gone = [one for one in removed if one.state == "ok"]
        named = {KIND[one.kind] for one in (*gone, *(entry.item for entry in taken))}
        changed = [kind for kind in Kind if kind in named]
        frames = [self._replace(client, caller, kind, lists[kind], taken) for kind in changed]
        added = [self._told(entry, state) for entry, state in zip(change.added, states, strict=True)]
        return change.header.answer(ChangedData(added, removed)) + b"".join(frames)

    def hold(self, client: Peer, caller: Caller, entries: Sequence[Entry]) -> list[State]:
        """Takes entries into a client's lists whose streams it is not given yet, see `Hub.hold`; returns the
        state of each."""
        self._hub.settle(client)
        self._hub.renew(client)
        lists = {kind: self._hub.wants(client, kind) for kind in Kind}
        states = self._add_all(client, caller, lists, entries)
        for (item, what), state in zip(entries, states, strict=True):
            if state == "ok" and isinstance(what, Want):
                self._hub.hold(client, KIND[item.kind], what)
        for kind in {
            KIND[one.item.kind] for one, state in zip(entries, states, strict=True) if state == "ok"
        }:
            self._sharing.subscribe(kind, [want.instrument for want in lists[kind].values()], caller)
        return states

    def _add_all(
        self, client: Peer, caller: Caller, lists: dict[Kind, dict[Key, Want]], entries: Sequence[Entry]
    ) -> list[State]:
        states = [self._add(client, caller, lists, entry) for entry in entries]
        if caller.plan.refuse and self._market.scarce:
            self._leave_out(caller, lists, entries, states)
        return states

    def _remove(self, client: Peer, caller: Caller, lists: dict[Kind, dict[Key, Want]], item: Item) -> State:
        kind = KIND[item.kind]
        key = item.code, item.kline_type
        if ANY in item.code:
            return "ok" if self._patterns.remove(client, kind, key, lists[kind]) else "not_subscribed"
        want = None if key in self._patterns.implied(client, kind) else lists[kind].get(key)
        if (found := want is not None) and not self._patterns.keep(client, kind, want):
            self._hub.let_go(client, kind, lists[kind].pop(key))
        family = caller.client.family
        if not found and family is not None:
            found = self._seeking.drop(client, family, kind, item.code, item.kline_type)
        return "ok" if found else "not_subscribed"

    def _add(self, client: Peer, caller: Caller, lists: dict[Kind, dict[Key, Want]], entry: Entry) -> State:
        item, what = entry
        if isinstance(what, str):
            return what
        kind = KIND[item.kind]
        wants, key = lists[kind], (item.code, item.kline_type)
        if isinstance(what, Pattern):
            return self._patterns.add(client, caller, kind, what, wants)
        self._patterns.name(client, kind, key)
        if wants.get(key) == what:
            return "already"
        if key not in wants and len(wants) + self._seeking.number(client, kind) >= caller.most_codes:
            return "over_limit"
        if isinstance(what, Sought):
            assert caller.client.family is not None  # noqa: S101  # it has a session
            self._seeking.wait(client, caller.client.family, kind, (what,))
            return "pending"
        wants[key] = what
        return "ok"

    def _leave_out(
        self, caller: Caller, lists: dict[Kind, dict[Key, Want]], added: Sequence[Entry], states: list[State]
    ) -> None:
        """Takes back what no source has room for."""
        room = {
            kind: {
                one.code
                for one in self._sharing.room(kind, [one.instrument for one in wants.values()], caller)
            }
            for kind, wants in lists.items()
        }
        for place, (item, what) in enumerate(added):
            kind = KIND[item.kind]
            if states[place] == "ok" and isinstance(what, Want) and what.instrument.code not in room[kind]:
                states[place] = "over_limit"
                lists[kind].pop((item.code, item.kline_type), None)

    def _replace(
        self, client: Peer, caller: Caller, kind: Kind, wants: dict[Key, Want], taken: Iterable[Entry]
    ) -> bytes:
        """Makes these the client's list of a kind; returns the last event of what was taken into it."""
        self._sharing.subscribe(kind, [want.instrument for want in wants.values()], caller)
        fresh = [one.what for one in taken if KIND[one.item.kind] is kind and isinstance(one.what, Want)]
        if kind is Kind.KLINE:
            keys = {(want.name, want.kline_type) for want in fresh}
            new = [key in keys or not self._hub.has(client, kind, want) for key, want in wants.items()]
            self._first_bars.show(client, [*compress(wants.values(), new)])
        return self._hub.subscribe(client, kind, wants.values(), fresh=fresh)

    def _told(self, entry: Entry, state: State) -> ItemState:
        told = _state(entry.item, state)
        if state in ("ok", "pending"):
            told.epoch = self._market.epoch
        if state == "ok" and isinstance(entry.what, Want):
            want = entry.what
            told.seq = self._hub.topic(KIND[entry.item.kind], want.instrument, want.kline_type).seq
        return told


def _item(kind: Kind, want: Want) -> Item:
    levels = 0 if want.levels == want.instrument.levels else want.levels
    return Item(kind.name.lower(), want.name, levels, want.kline_type)  # type: ignore[arg-type]


def _state(item: Item, state: State) -> ItemState:
    return ItemState(item.kind, item.code, item.depth_level, item.kline_type, state=state)
