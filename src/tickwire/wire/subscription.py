"""One kind of stream on one connection, seen from the client: what is wanted, and what the server knows.

The user adds and removes; the protocol only replaces (section 2, "Subscribe"). So while the two differ,
the whole list is sent; a list that is refused leaves the server with the one before.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from ..model import Kind, Position
from .messages import Command, to_json
from .ret import (
    CODE_INVALID,
    CODE_UNAUTHORIZED,
    DATA_INVALID,
    LEVEL_TOO_LOW,
    OK,
    TOO_FAST,
    TOO_FAST_CLOSED,
)
from .session import TOO_FAST_WINDOW
from .stream import Stream
from .wanted import Key, Wanted

MOST_PAUSE = 60.0
"""Seconds between two tries at the most."""
FINAL = {CODE_INVALID.code, CODE_UNAUTHORIZED.code, DATA_INVALID.code}
"""Refusals that the same request would meet again."""
NO_ANSWER = 0
"""Stands for the `ret` of a request that was not answered."""
UNANSWERED = -1
"""Stands for the depth of what the server has and is asked for once more."""
PATTERNS_UNKNOWN = "names with * are understood by a Tickwire only"


class Subscribed(NamedTuple):
    """The server has taken the list: of that kind it pushes these streams, as far as it knows the codes."""

    kind: Kind
    keys: tuple[Key, ...]


class Refusal(NamedTuple):
    """The server, or the limit of the connection, refuses these streams; others go on.

    `ret` is the server's, 603 where the limit refuses, 0 where no answer came. In `again` seconds they are
    asked for again; None: not before the next connection, or until they are added anew. `nearest` are the
    codes that may have been meant by unknown ones, where somebody has looked for them.
    """

    kind: Kind
    keys: tuple[Key, ...]
    ret: int
    msg: str
    again: float | None
    nearest: tuple[str, ...] | None = None


class Interface(NamedTuple):
    """The requests that concern a kind: subscribe, cancel, and what the cancel says."""

    subscribe: Command
    cancel: Command
    cancel_data: dict[str, int]


INTERFACES = {
    Kind.TRADE: Interface(Command.TRADE, Command.CANCEL, {"cancel_type": 2}),
    Kind.DEPTH: Interface(Command.DEPTH, Command.CANCEL, {"cancel_type": 1}),
    Kind.KLINE: Interface(Command.KLINE, Command.KLINE_CANCEL, {}),
    Kind.CORRECTION: Interface(Command.CORRECTION, Command.CORRECTION_CANCEL, {}),
}


class Subscription:
    """The streams of one kind.

    `spacing` is in seconds, see Terms; `most` is how many streams the connection may have, None for no
    limit. `when` is in seconds of any monotonic clock.
    """

    def __init__(self, kind: Kind, spacing: float, most: int | None) -> None:
        self.kind = kind
        self.streams: Wanted[Stream] = Wanted()
        self.in_effect: dict[Key, int] = {}
        """What the server has, with the depth."""
        self.cut: dict[Key, Position] = {}
        """Streams that a server which can is asked to go on with, each from a position."""
        self.asked_at = inf
        self.not_before = -inf
        self._spacing = spacing
        self._most = self._granted = inf if most is None else most
        self._asked: dict[Key, int] | None = None
        self._cmd_id = self._seq_id = 0
        self._refused: set[Key] = set()
        self._left: dict[Key, Position] = {}  # where streams stood that are wanted no more and go on still
        self._late: set[Stream] = set()  # patterns that an earlier connection had
        self._full: set[Key] = set()  # those of them for which there was no room
        self._left_out: set[Key] = set()
        self._fails = 0

    def add(self, key: Key, depth: int = 0) -> None:
        """Wants a stream, or another depth of it."""
        self._refused.discard(key)
        self._left_out.discard(key)
        if key not in self.streams and key in self.in_effect:  # it is asked for again, for an answer to come
            self.in_effect[key] = UNANSWERED
        stream = self.streams.want(key, lambda: Stream(depth))
        stream.depth = depth
        if (position := self._left.pop(key, None)) is not None:
            stream.goes_on(*position)

    def remove(self, key: Key) -> None:
        """Wants it no more."""
        stream = self.streams.drop(key)
        if stream is not None and key in self.in_effect and (position := stream.position) is not None:
            self._left[key] = position
        if self.cut:
            self.cut = {one: at for one, at in self.cut.items() if one in self.streams}
        self._refused -= {key, *self._full}
        self._full.clear()
        self._left_out.discard(key)

    def gone(self, key: Key) -> None:
        """The server pushes it no more."""
        self.in_effect.pop(key, None)
        self._left.pop(key, None)

    def begin(self, key: Key, position: Position, time: int) -> None:
        """What is wanted of a stream goes on behind an event of that time in milliseconds, if it is wanted by
        its name or by a pattern."""
        stream = self.streams.get(key) or self.streams.imply(key, lambda pattern: Stream(pattern.depth))
        if stream is not None:
            stream.begin(position, time)
            self.cut[key] = position

    def imply(self, key: Key, seq: int) -> tuple[Stream, bool] | None:
        """The first event of a stream came that only a pattern asks for: the stream, and whether it is whole,
        which it is not if it began while the connection of the pattern was lost. None if no pattern does."""
        late = False

        def make(pattern: Stream) -> Stream:
            nonlocal late
            late = pattern in self._late
            stream = Stream(pattern.depth)
            stream.goes_on(pattern.epoch, max(seq - 1, 0))
            return stream

        stream = self.streams.imply(key, make)
        if stream is None:
            return None
        return stream, not late or self.kind is Kind.DEPTH or seq <= stream.epoch

    def opened(self) -> None:
        """A new connection begins: its server knows nothing, and may refuse other things."""
        self.in_effect, self._asked, self.asked_at = {}, None, inf
        self._refused.clear()
        self._full.clear()
        self._left_out.clear()
        self._granted = self._most
        self._left.clear()
        self.cut.clear()
        patterns = self.streams.patterns
        self._late = {self.streams[key] for key in patterns if self.streams[key].epoch}
        for key, stream in self.streams.items():
            stream.opened()
            if (position := stream.position) is not None and key not in patterns:
                self.cut[key] = position

    def ready(self) -> bool:
        """Whether there is something to say to the server, which owes no answer."""
        return self._asked is None and self.target() != self.in_effect

    def without_patterns(self) -> Refusal | None:
        """The server has no patterns: those that were not told of before."""
        fresh = tuple(key for key in self.streams.patterns if key not in self._refused)
        self._refused.update(fresh)
        return Refusal(self.kind, fresh, DATA_INVALID.code, PATTERNS_UNKNOWN, None) if fresh else None

    def refuse(self, key: Key, *, full: bool) -> None:
        """The server refuses a stream: not to be asked for again on this connection, or, if the list is
        `full`, until one of it is wanted no more."""
        self._refused.add(key)
        if full:
            self._full.add(key)

    def left_out(self) -> Refusal | None:
        """The streams for which the connection has no room, those that were told of before left out."""
        keys = [key for key, one in self.streams.items() if not one.implied and key not in self._refused]
        if len(keys) <= self._granted:
            self._left_out.clear()
            return None
        beyond = set(keys[int(self._granted) :])
        fresh = tuple(key for key in beyond if key not in self._left_out)
        self._left_out = beyond
        msg = f"no room for more than {self._granted} on this connection"
        return Refusal(self.kind, fresh, LEVEL_TOO_LOW.code, msg, None) if fresh else None

    def request(self, seq_id: int, when: float) -> bytes:
        """What to send so that the server has what is wanted."""
        self._asked, self.asked_at, self._seq_id = self.target(), when, seq_id
        self._cmd_id, cancel, cancel_data = INTERFACES[self.kind]
        if self._asked:
            return request(self._cmd_id, seq_id, {"symbol_list": [*map(_symbol, self._asked.items())]})
        self._cmd_id = cancel
        return request(cancel, seq_id, cancel_data)

    def owns(self, cmd_id: int, seq_id: int) -> bool:
        """Whether that is the answer which the server owes; one without a number goes by its command."""
        if self._asked is None:
            return False
        return seq_id == self._seq_id or (not seq_id and cmd_id == self._cmd_id + 1)

    def answered(self, ret: int, msg: str, when: float) -> Subscribed | Refusal:
        """The answer came, or did not come (NO_ANSWER)."""
        asked, self._asked, self.asked_at = self._asked or {}, None, inf
        if ret == OK.code:
            self.in_effect, self._fails = asked, 0
            return Subscribed(self.kind, tuple(asked))
        fresh = tuple(key for key in asked if key not in self.in_effect) or tuple(asked)
        if ret in FINAL or ret == LEVEL_TOO_LOW.code:
            if not asked:  # a server that knows no such cancel; what it pushes on is not wanted
                self.in_effect = {}
            elif ret in FINAL:
                self._refused.update(fresh)
            else:
                kept = len(self.in_effect)
                self._granted = kept if 0 < kept < len(asked) else len(asked) // 2
                fresh = tuple([*asked][int(self._granted) :])
                self._left_out.update(fresh)
            return Refusal(self.kind, fresh, ret, msg, None)
        self._fails += 1
        pause = pause_after(ret, self._fails, self._spacing)
        self.not_before = when + pause
        return Refusal(self.kind, fresh, ret, msg, pause)

    def excuse(self, when: float) -> None:
        """Time to answer begins here."""
        if self._asked is not None:
            self.asked_at = when

    def target(self) -> dict[Key, int]:
        """What the server should have; what a pattern implies only where the server has it by its name."""
        target: dict[Key, int] = {}
        for key, stream in self.streams.items():
            if len(target) >= self._granted:
                break
            if key not in self._refused and (not stream.implied or key in self.in_effect):
                target[key] = stream.depth
        return target


def pause_after(ret: int, fails: int, spacing: float) -> float:
    """Seconds until what was refused for now, so many times, is asked for again. A third 605 within that
    window ends the connection, so only the first is followed soon."""
    if ret == TOO_FAST.code and fails == 1:
        return spacing or 1.0
    if ret in (TOO_FAST.code, TOO_FAST_CLOSED.code):
        first, fails = TOO_FAST_WINDOW, max(fails - 1, 1)
    else:
        first = max(spacing, 1.0)
    return min(first * 2.0 ** min(fails - 1, 16), MOST_PAUSE)


def request(cmd_id: int, seq_id: int, data: object) -> bytes:
    """A request as documented."""
    return to_json({"cmd_id": int(cmd_id), "seq_id": seq_id, "trace": str(seq_id), "data": data})


def _symbol(entry: tuple[Key, int]) -> dict[str, str | int]:
    key, depth = entry
    if isinstance(key, tuple):
        return {"code": key[0], "kline_type": key[1]}
    return {"code": key, "depth_level": depth} if depth else {"code": key}
