"""All outboxes of a hub: whom they are for, and what they spared whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ...model import Kind, Slow
from ...wire.spared import MOST_CODES, spared_frame
from .digest import Digest, Marks
from .lane import Client, Lane
from .outbox import Closing, Conflating, Dropping, Outbox, Superseding
from .topic import View


class Untold:
    """What a client was spared from `since` on and is not told yet, by kind, with the first codes."""

    __slots__ = ("codes", "events", "since", "told")

    def __init__(self, since: int) -> None:
        self.since = since
        self.told = False
        """Whether it was told something since the last look."""
        self.events: Counter[Kind] = Counter()
        self.codes: dict[Kind, dict[str, None]] = {}


class Outboxes:
    """Makes outboxes, and keeps account of them."""

    def __init__(self, bound: int, wall: Callable[[], float], unsent: Callable[[Client, int], None]) -> None:
        """`bound` is how many bytes may wait for a client, `wall` the time since the epoch in seconds;
        `unsent` is told by how many events less a client was pushed than its lane carried."""
        self.marks = Marks()
        self.whole = 0
        """How many there are that keep what their lane carries as it is."""
        self.dropped: Counter[Kind] = Counter()
        """Events that were left out."""
        self.conflated: Counter[Kind] = Counter()
        """Events in whose place a newer one came, or several as one."""
        self._bound = bound
        self._wall = wall
        self._unsent = unsent
        self._of: dict[Client, Outbox] = {}
        self._untold: dict[Client, Untold] = {}

    def __len__(self) -> int:
        return len(self._of)

    def open(self, client: Client, lane: Lane) -> None:
        """A client of that lane falls behind."""
        slow, named = client.sparing
        outbox: Outbox
        if slow is Slow.CLOSE:
            outbox = Closing(client)
        elif not named:
            outbox = Superseding(client, self._bound, self._conflate)
        elif slow is Slow.DROP:
            outbox = Dropping(client, self._bound, self._drop)
        else:
            if not lane.conflating:
                self._begin_digests(lane)
            lane.conflating += 1
            outbox = Conflating(client, lane, self.marks, self._bound, self._conflate)
        if named and slow is not Slow.CLOSE:
            self._untold.setdefault(client, Untold(self._now()))
        self.whole += isinstance(outbox, Dropping)
        self._of[client] = lane.slow[client] = outbox
        if slow is not Slow.CLOSE:
            client.spare(spared=True)

    def close(self, client: Client, lane: Lane) -> None:
        """It has caught up, wants something else, or is gone."""
        del lane.slow[client]
        outbox = self._of.pop(client)
        outbox.close()
        self.whole -= isinstance(outbox, Dropping)
        if isinstance(outbox, Conflating):
            lane.conflating -= 1
            if not lane.conflating:
                self._end_digests(lane)
        if not isinstance(outbox, Closing):
            client.spare(spared=False)

    def forget(self, client: Client) -> None:
        """A client is gone."""
        self._untold.pop(client, None)

    def get(self, client: Client) -> Outbox | None:
        """The outbox of a client, if it has one."""
        return self._of.get(client)

    def is_conflating(self, client: Client) -> bool:
        """Whether a client has an outbox that begins with what comes from now on."""
        return isinstance(self._of.get(client), Conflating)

    def notice(self, client: Client, *, last: bool = False) -> bytes:
        """What a client is to be told that it was spared, unless it was told so since the last look; if it is
        the last time, in any case."""
        spared = self._untold.get(client)
        if spared is None or (spared.told and not last) or not spared.events:
            return b""
        frames = [
            spared_frame(kind, count, [*spared.codes[kind]], spared.since)
            for kind in Kind
            if (count := spared.events[kind])
        ]
        spared.events.clear()
        spared.codes.clear()
        spared.told, spared.since = True, self._now()
        return b"".join(frames)

    def look(self) -> list[Client]:
        """Once a second: looks for outboxes that hold too much. Returns who has caught up, and is to be told
        what it was spared."""
        for outbox in [*self._of.values()]:
            outbox.look()
        for client, spared in [*self._untold.items()]:
            spared.told = False
            if not spared.events and client not in self._of:
                del self._untold[client]
        return [client for client in self._untold if client not in self._of]

    def _drop(self, client: Client, view: View, events: int, sent: int) -> None:
        self.dropped[view.topic.kind] += events
        self._note(client, view, events, sent)

    def _conflate(self, client: Client, view: View, events: int, sent: int) -> None:
        self.conflated[view.topic.kind] += events
        self._note(client, view, events, sent)

    def _note(self, client: Client, view: View, events: int, sent: int) -> None:
        self._unsent(client, events - sent)
        if (spared := self._untold.get(client)) is not None:
            kind = view.topic.kind
            spared.events[kind] += events
            codes = spared.codes.setdefault(kind, {})
            if len(codes) < MOST_CODES:
                codes[view.name] = None

    def _now(self) -> int:
        return int(self._wall() * 1000)

    def _begin_digests(self, lane: Lane) -> None:
        for view in lane.views:
            topic = view.topic
            if topic.digest is None:
                topic.digest = Digest(self.marks, topic.seq)
            topic.digest.users += 1

    def _end_digests(self, lane: Lane) -> None:
        for view in lane.views:
            topic = view.topic
            if topic.digest is not None:
                topic.digest.users -= 1
                if not topic.digest.users:
                    topic.digest = None
