"""One kind of stream on one connection, seen from the client: what is wanted, and what the server knows.

The user adds and removes; the protocol only replaces (section 2, "Subscribe"). So while the two differ,
the whole list is sent; a list that is refused leaves the server with the one before.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple, TypeAlias

from ..model import Kind
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

MOST_PAUSE = 60.0
"""Seconds between two tries at the most."""
FINAL = {CODE_INVALID.code, CODE_UNAUTHORIZED.code, DATA_INVALID.code}
"""Refusals that the same request would meet again."""
NO_ANSWER = 0
"""Stands for the `ret` of a request that was not answered."""

Key: TypeAlias = str | tuple[str, int]
"""A stream among those of its kind: a code, or for bars a code and a type."""


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
        self.streams: dict[Key, Stream] = {}
        self.asked_at = inf
        self.not_before = -inf
        self._spacing = spacing
        self._most = self._granted = inf if most is None else most
        self._asked: dict[Key, int] | None = None
        self._cmd_id = self._seq_id = 0
        self._in_effect: dict[Key, int] = {}
        self._refused: set[Key] = set()
        self._left_out: set[Key] = set()
        self._fails = 0

    def add(self, key: Key, depth: int = 0) -> None:
        """Wants a stream, or another depth of it."""
        self._refused.discard(key)
        self._left_out.discard(key)
        if (stream := self.streams.get(key)) is None:
            self.streams[key] = Stream(depth)
        else:
            stream.depth = depth

    def remove(self, key: Key) -> None:
        """Wants it no more."""
        self.streams.pop(key, None)
        self._refused.discard(key)
        self._left_out.discard(key)

    def opened(self) -> None:
        """A new connection begins: its server knows nothing, and may refuse other things."""
        self._in_effect, self._asked, self.asked_at = {}, None, inf
        self._refused.clear()
        self._left_out.clear()
        self._granted = self._most
        for stream in self.streams.values():
            stream.opened()

    def ready(self) -> bool:
        """Whether there is something to say to the server, which owes no answer."""
        return self._asked is None and self._target() != self._in_effect

    def left_out(self) -> Refusal | None:
        """The streams for which the connection has no room, those that were told of before left out."""
        keys = [key for key in self.streams if key not in self._refused]
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
        self._asked, self.asked_at, self._seq_id = self._target(), when, seq_id
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
            self._in_effect, self._fails = asked, 0
            return Subscribed(self.kind, tuple(asked))
        fresh = tuple(key for key in asked if key not in self._in_effect) or tuple(asked)
        if ret in FINAL or ret == LEVEL_TOO_LOW.code:
            if not asked:  # a server that knows no such cancel; what it pushes on is not wanted
                self._in_effect = {}
            elif ret in FINAL:
                self._refused.update(fresh)
            else:
                kept = len(self._in_effect)
                self._granted = kept if 0 < kept < len(asked) else len(asked) // 2
                fresh = tuple([*asked][int(self._granted) :])
                self._left_out.update(fresh)
            return Refusal(self.kind, fresh, ret, msg, None)
        self._fails += 1
        pause = self._pause(ret)
        self.not_before = when + pause
        return Refusal(self.kind, fresh, ret, msg, pause)

    def excuse(self, when: float) -> None:
        """Time to answer begins here."""
        if self._asked is not None:
            self.asked_at = when

    def _pause(self, ret: int) -> float:
        """A third 605 within that window ends the connection, so only the first is followed soon."""
        fails = self._fails
        if ret == TOO_FAST.code and fails == 1:
            return self._spacing or 1.0
        if ret in (TOO_FAST.code, TOO_FAST_CLOSED.code):
            first, fails = TOO_FAST_WINDOW, max(fails - 1, 1)
        else:
            first = max(self._spacing, 1.0)
        return min(first * 2.0 ** min(fails - 1, 16), MOST_PAUSE)

    def _target(self) -> dict[Key, int]:
        """What the server should have."""
        target: dict[Key, int] = {}
        for key, stream in self.streams.items():
            if len(target) >= self._granted:
                break
            if key not in self._refused:
                target[key] = stream.depth
        return target


def request(cmd_id: int, seq_id: int, data: object) -> bytes:
    """A request as documented."""
    return to_json({"cmd_id": int(cmd_id), "seq_id": seq_id, "trace": str(seq_id), "data": data})


def _symbol(entry: tuple[Key, int]) -> dict[str, str | int]:
    key, depth = entry
    if isinstance(key, tuple):
        return {"code": key[0], "kline_type": key[1]}
    return {"code": key, "depth_level": depth} if depth else {"code": key}
