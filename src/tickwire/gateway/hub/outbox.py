"""Outboxes: what waits for a client that does not take all that its lane writes.

While bytes wait in its transport, nothing is written to it but answers. When all of them are taken, it gets
what its outbox holds, some at a time, and goes back to its lane when that is empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import NamedTuple, Protocol, TypeAlias

from ...model import Kind
from .digest import Marks
from .lane import Client, Lane
from .topic import View

SLICE = 16 * 1024
"""Bytes that an outbox gives at a time: what takes the loop a millisecond to make."""
ENTRY = 256
"""Bytes that a view takes of a server, for a client that conflates."""
KEPT = 512
"""Bytes that a bar or a correction counts as that waits for it."""
FEW_BYTES = 64 * 1024
"""Below this, books that are replaced are left where they are."""


class Chunk(NamedTuple):
    """What a view carried in one flush: its frames, joined; the last one; how many they are, and whether
    there is one among them that nobody may miss."""

    view: View
    data: bytes
    last: bytes
    events: int
    needed: bool


class Outbox(Protocol):
    """What waits for one client."""

    def put(self, data: bytes, chunks: Sequence[Chunk]) -> bool:
        """Its lane has carried this in one flush. Returns whether the client has caught up."""
        ...

    def take(self) -> bytes:
        """The next of what waits, whole frames; nothing if nothing does."""
        ...

    def rest(self) -> bytes:
        """All that waits."""
        ...

    def close(self) -> None:
        """It is needed no more."""

    def look(self) -> None:
        """Looks whether it holds more than it may, where that is not known from what is put in."""


Spare: TypeAlias = Callable[[Client, View, int, int], None]
"""Is told how many events of a view a client was not sent as themselves, and as how many it was."""


class Closing:
    """For who is to get everything, or be closed: all of it goes into the transport, which has a bound."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def put(self, data: bytes, chunks: Sequence[Chunk]) -> bool:
        return self._client.push(data)

    def take(self) -> bytes:
        return b""

    def rest(self) -> bytes:
        return b""

    def close(self) -> None:
        pass

    def look(self) -> None:
        pass


class Dropping:
    """Keeps what comes, as it is, up to the bound. Beyond it the oldest goes, but for what nobody may miss.

    So whoever reads again is near to the present soon, as with Databento's `skip`.
    """

    def __init__(self, client: Client, bound: int, spare: Spare) -> None:
        self._client = client
        self._bound = bound
        self._spare = spare
        self._needed: deque[Chunk] = deque()  # of before all others
        self._chunks: deque[Chunk] = deque()
        self._size = 0

    def put(self, data: bytes, chunks: Sequence[Chunk]) -> bool:
        self._chunks += chunks
        self._size += len(data)
        if self._is_over:
            self._shed()
        self._client.keep(self._size)
        return False

    def take(self) -> bytes:
        found: list[bytes] = []
        size = 0
        while size < SLICE and (waiting := self._needed or self._chunks):
            data = waiting.popleft().data
            found.append(data)
            size += len(data)
        self._size -= size
        self._client.keep(self._size)
        return b"".join(found)

    def rest(self) -> bytes:
        found = b"".join(one.data for one in chain(self._needed, self._chunks))
        self._needed.clear()
        self._chunks.clear()
        self._size = 0
        self._client.keep(0)
        return found

    def close(self) -> None:
        self._client.keep(0)

    def look(self) -> None:
        pass

    @property
    def _is_over(self) -> bool:
        return self._size + self._client.unread > self._bound

    def _shed(self) -> None:
        while self._chunks and self._is_over:
            one = self._chunks.popleft()
            if one.needed:
                self._needed.append(one)
            else:
                self._leave_out(one, one.events)
                self._size -= len(one.data)
        if self._is_over:
            self._client.give_up()

    def _leave_out(self, chunk: Chunk, count: int) -> None:
        if count:
            self._spare(self._client, chunk.view, count, 0)


class Superseding(Dropping):
    """For who knows nothing of what is thinned: of each book the newest, and all the rest. Beyond the bound
    it is closed."""

    def __init__(self, client: Client, bound: int, spare: Spare) -> None:
        super().__init__(client, bound, spare)
        self._next = FEW_BYTES  # size from which on it is worth while to look for books

    def take(self) -> bytes:
        if self._next:
            self._supersede()
            self._next = 0  # until more is put in
        return super().take()

    def rest(self) -> bytes:
        self._supersede()
        return super().rest()

    def put(self, data: bytes, chunks: Sequence[Chunk]) -> bool:
        self._next = self._next or max(2 * self._size, FEW_BYTES)
        return super().put(data, chunks)

    @property
    def _is_over(self) -> bool:
        return self._size > self._next or super()._is_over

    def _shed(self) -> None:
        self._supersede()
        self._next = max(2 * self._size, FEW_BYTES)
        if super()._is_over:
            self._client.give_up()

    def _supersede(self) -> None:
        newest: set[View] = set()
        found: deque[Chunk] = deque()
        for one in reversed(self._chunks):
            if one.view.topic.kind is Kind.DEPTH:
                if one.view in newest:
                    self._leave_out(one, one.events)
                    continue
                newest.add(one.view)
                if one.events > 1:
                    self._leave_out(one, one.events - 1)
                    one = one._replace(data=one.last, events=1)
            found.appendleft(one)
        self._chunks = found
        self._size = sum(len(one.data) for one in found)


class Conflating:
    """Of each book the newest, of the trades since the last one as one, of each bar that is forming the
    newest; and all that nobody may miss.

    It holds nothing of that itself: it knows up to where each view was given, and topics have a digest.
    """

    def __init__(self, client: Client, lane: Lane, marks: Marks, bound: int, spare: Spare) -> None:
        self._client = client
        self._lane = lane
        self._marks = marks
        self._bound = bound
        self._spare = spare
        self._base = marks.here()
        self._given: dict[View, int] = {}  # the marks of those that were given more than up to the base
        self._todo: dict[View, int] = {}  # what is to be given, with the marks up to which it was
        self._held = {self._base}
        marks.hold(self._held)
        self._trades: dict[str, list[View]] = {}
        for view in lane.views:
            if view.topic.kind is Kind.TRADE:
                self._trades.setdefault(view.topic.instrument.code, []).append(view)
        client.keep(self._least)

    @property
    def _least(self) -> int:
        return ENTRY * len(self._lane.views)

    def put(self, data: bytes, chunks: Sequence[Chunk]) -> bool:
        return False

    def take(self) -> bytes:
        return self._take(SLICE)

    def rest(self) -> bytes:
        return self._take(None)

    def close(self) -> None:
        self._marks.release(self._held)
        self._held.clear()
        self._client.keep(0)

    def look(self) -> None:
        needed = KEPT * sum(
            view.topic.digest.kept(self._since(view))
            for view in self._lane.views
            if view.topic.digest is not None and view.topic.kind in (Kind.KLINE, Kind.CORRECTION)
        )
        if needed + self._client.unread > self._bound:
            self._client.give_up()
        else:
            self._client.keep(self._least + needed)

    def _take(self, most: int | None) -> bytes:
        here = self._marks.here()
        found: list[bytes] = []
        size = 0
        while (most is None or size < most) and (self._todo or self._begin(here)):
            view = next(iter(self._todo))
            frames: list[bytes] = []
            if view.topic.kind is Kind.CORRECTION:  # each behind the trade that it corrects
                for trades in self._trades.get(view.topic.instrument.code, ()):
                    frames += self._give(trades, here)
            frames += self._give(view, here)
            size += sum(map(len, frames))
            found += frames
        if self._todo:
            self._hold({*self._held, here})
        return self._lane.form.whole(found)

    def _begin(self, here: int) -> bool:
        """Looks for views of which more came than was given; returns whether there are any."""
        self._todo = {
            view: since
            for view in self._lane.views
            if view.topic.digest is not None
            and view.topic.digest.mark >= (since := self._given.get(view, self._base))
        }
        self._given.clear()
        self._base = here
        self._hold({here, *self._todo.values()})
        return bool(self._todo)

    def _hold(self, marks: set[int]) -> None:
        self._marks.hold(marks - self._held)
        self._marks.release(self._held - marks)
        self._held = marks

    def _since(self, view: View) -> int:
        """The mark up to which a view was given."""
        return self._todo.get(view) or self._given.get(view, self._base)

    def _give(self, view: View, here: int) -> list[bytes]:
        since = self._since(view)
        self._todo.pop(view, None)
        self._given[view] = here
        digest = view.topic.digest
        if digest is None or digest.mark < since:
            return []
        stretch = digest.since(since)
        frames = view.thinned(stretch)
        if len(frames) < stretch.count:
            if view.topic.kind is Kind.TRADE:  # none of them is itself any more
                self._spare(self._client, view, stretch.count, len(frames))
            else:
                self._spare(self._client, view, stretch.count - len(frames), 0)
        return frames
