"""What is wanted of a server that takes changes (28012) and resumes (28016), seen from the client.

What was there before a cut goes on from its position; all else is added and removed item by item. Resumes go
first: what a pattern has put into a list is not given from before that any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import NamedTuple, TypeAlias

from ..model import Kind, Position
from .items import KIND, MOST_ITEMS
from .messages import Command
from .ret import CODE_INVALID, CODE_UNAUTHORIZED, LEVEL_TOO_LOW, OK, TOO_FAST, TOO_FAST_CLOSED, Ret
from .subscription import FINAL, NO_ANSWER, Refusal, Subscribed, Subscription, pause_after, request
from .upstream import Answer, GoesOn
from .upstream_fields import ChangedFields, ItemFields, ResumedFields
from .wanted import Key, code_of

REFUSALS: dict[str, Ret] = {
    "unknown": CODE_INVALID,
    "unauthorized": CODE_UNAUTHORIZED,
    "over_limit": LEVEL_TOO_LOW,
}
"""What the states of items mean that are not taken."""
COUNTED = (Kind.TRADE, Kind.CORRECTION)
"""Kinds whose `seq` grows by exactly one, so that it is known how many are missing."""

Place: TypeAlias = tuple[Kind, Key]


class Resumed(NamedTuple):
    """Streams of a kind go on: `whole` ones where they were; of the others events cannot be had any more, so
    many of each, None where that is not known."""

    kind: Kind
    whole: tuple[Key, ...]
    gaps: tuple[tuple[Key, int | None], ...]


Outcome: TypeAlias = Resumed | Subscribed | Refusal


class Changes:
    """The requests of one connection after another. `spacing` is in seconds, see Terms; `when` in seconds of
    any monotonic clock."""

    def __init__(self, subscriptions: Mapping[Kind, Subscription], spacing: float) -> None:
        self.asked_at = inf
        self.not_before = -inf
        self._subscriptions = subscriptions
        self._spacing = spacing
        self._adds: dict[Place, int] = {}  # with the depth, those that are to be resumed too
        self._resumes: dict[Place, Position] = {}
        self._removes: list[Place] = []
        self._cmd_id = self._seq_id = self._fails = 0

    def opened(self) -> None:
        """A new connection begins."""
        self._clear()

    def next(self) -> Command | None:
        """What there is to ask; None while an answer is owed, too."""
        if self._cmd_id:
            return None
        if any(one.cut for one in self._subscriptions.values()):
            return Command.RESUME
        if any(one.target() != one.in_effect for one in self._subscriptions.values()):
            return Command.CHANGE
        return None

    def request(self, command: Command, seq_id: int, when: float) -> bytes:
        """What to send, as `next` says, so that the server has more of what is wanted."""
        self._cmd_id, self._seq_id, self.asked_at = int(command), seq_id, when
        if command is Command.RESUME:
            places = [
                ((kind, key), at) for kind, one in self._subscriptions.items() for key, at in one.cut.items()
            ]
            self._resumes = dict(places[:MOST_ITEMS])
            self._adds = {place: self._depth(place) for place in self._resumes}
            items = [
                _item(place, depth) | self._resumes[place]._asdict() for place, depth in self._adds.items()
            ]
            return request(command, seq_id, {"items": items})
        targets = {kind: one.target() for kind, one in self._subscriptions.items()}
        self._removes = [
            (kind, key)
            for kind, one in self._subscriptions.items()
            for key in one.in_effect
            if key not in targets[kind]
        ][:MOST_ITEMS]
        adds = [
            ((kind, key), depth)
            for kind, target in targets.items()
            for key, depth in target.items()
            if self._subscriptions[kind].in_effect.get(key) != depth
        ]
        self._adds = dict(adds[: MOST_ITEMS - len(self._removes)])
        data = {
            "add": [_item(*one) for one in self._adds.items()],
            "remove": [_item(place, 0) for place in self._removes],
        }
        return request(command, seq_id, {name: items for name, items in data.items() if items})

    def owns(self, answer: Answer) -> bool:
        """Whether that is the answer which the server owes."""
        return bool(self._cmd_id) and answer.seq_id == self._seq_id

    def answered(self, answer: Answer, when: float) -> list[Outcome]:
        """The answer came."""
        if isinstance(answer.data, ResumedFields):
            found = self._resumed(answer.data.items)
        elif isinstance(answer.data, ChangedFields):
            found = self._changed(answer.data)
        else:
            return self._refused(answer.ret, answer.msg, when)
        self._fails = 0
        self._clear()
        return found

    def unanswered(self, when: float) -> list[Outcome]:
        """No answer came."""
        return self._refused(NO_ANSWER, "no answer", when)

    def goes_on(self, told: GoesOn) -> list[Resumed]:
        """The server has said where a stream goes on."""
        key: Key = (told.code, told.kline_type) if told.kline_type else told.code
        stream = self._subscriptions[told.kind].streams.get(key)
        if stream is None:
            return []
        missed = _missed(told.kind, stream.position, told.epoch, told.first)
        stream.goes_on(told.epoch, max(told.first - 1, 0))
        return [Resumed(told.kind, (), ((key, missed),)) if told.gap else Resumed(told.kind, (key,), ())]

    def excuse(self, when: float) -> None:
        """Time to answer begins here."""
        if self._cmd_id:
            self.asked_at = when

    def _clear(self) -> None:
        self._adds, self._resumes, self._removes = {}, {}, []
        self._cmd_id, self.asked_at = 0, inf

    def _depth(self, place: Place) -> int:
        kind, key = place
        stream = self._subscriptions[kind].streams.get(key)
        return 0 if stream is None else stream.depth

    def _resumed(self, items: list[ItemFields]) -> list[Outcome]:
        told = {_place(item): item for item in items}
        whole: dict[Kind, list[Key]] = {}
        gaps: dict[Kind, list[tuple[Key, int | None]]] = {}
        for (kind, key), at in self._resumes.items():
            item = told.get((kind, key))
            if item is not None and item.state == "resumed":
                whole.setdefault(kind, []).append(key)
            elif item is not None and item.state == "gap":
                gaps.setdefault(kind, []).append((key, _missed(kind, at, item.epoch, item.first)))
        found: list[Outcome] = [
            Resumed(kind, tuple(whole.get(kind, ())), tuple(gaps.get(kind, ())))
            for kind in self._subscriptions
            if kind in whole or kind in gaps
        ]
        for kind, key in self._resumes:
            self._subscriptions[kind].cut.pop(key, None)
        return found + self._taken(told)

    def _changed(self, data: ChangedFields) -> list[Outcome]:
        for kind, key in self._removes:
            self._subscriptions[kind].gone(key)
        found = self._taken({_place(item): item for item in data.added})
        named = {one.kind for one in found}
        removed = dict.fromkeys(kind for kind, _ in self._removes if kind not in named)
        return [*found, *(self._subscribed(kind) for kind in removed)]

    def _taken(self, told: Mapping[Place, ItemFields]) -> list[Outcome]:
        """What became of items that were to join the lists."""
        refused: dict[tuple[Kind, Ret], list[Key]] = {}
        for (kind, key), depth in self._adds.items():
            one, item = self._subscriptions[kind], told.get((kind, key))
            ret = CODE_INVALID if item is None else REFUSALS.get(item.state)
            if ret is not None:
                refused.setdefault((kind, ret), []).append(key)
                one.refuse(key, full=ret is LEVEL_TOO_LOW)
            elif item is not None and item.state != "not_subscribed":  # a later request was carried out first
                one.in_effect[key] = depth
                if item.epoch and (stream := one.streams.get(key)) is not None:
                    stream.goes_on(item.epoch, max((item.first or item.seq) - 1, 0))
        kinds = dict.fromkeys(kind for kind, _ in self._adds)
        return [
            *(self._subscribed(kind) for kind in kinds if self._subscriptions[kind].in_effect),
            *(Refusal(kind, tuple(keys), ret.code, ret.msg, None) for (kind, ret), keys in refused.items()),
        ]

    def _subscribed(self, kind: Kind) -> Subscribed:
        return Subscribed(kind, tuple(self._subscriptions[kind].in_effect))

    def _refused(self, ret: int, msg: str, when: float) -> list[Outcome]:
        """The request as a whole came to nothing. What cannot be resumed is added, behind a hole."""
        again = None
        self._fails += 1
        if ret in FINAL or ret == OK.code:  # also where what it says of the items cannot be understood
            for kind, key in self._adds.keys() - self._resumes.keys():
                self._subscriptions[kind].refuse(key, full=False)
            for kind, key in self._removes:
                self._subscriptions[kind].gone(key)
        else:
            again = pause_after(ret, self._fails, self._spacing)
            self.not_before = when + again
        if ret not in (TOO_FAST.code, TOO_FAST_CLOSED.code):
            for kind, key in self._resumes:
                self._subscriptions[kind].cut.pop(key, None)
        by_kind: dict[Kind, list[Key]] = {}
        if again is not None or not self._resumes:
            for kind, key in self._adds:
                by_kind.setdefault(kind, []).append(key)
        self._clear()
        return [Refusal(kind, tuple(keys), ret, msg, again) for kind, keys in by_kind.items()]


def _missed(kind: Kind, before: Position | None, epoch: int, first: int) -> int | None:
    """How many events lie between a position and the first that follows, where that can be known."""
    if kind not in COUNTED or before is None or before.epoch != epoch:
        return None
    missed = first - 1 - max(before.seq, epoch - 1)  # the first one of an epoch has its number
    return missed if missed > 0 else None


def _place(item: ItemFields) -> Place:
    return KIND[item.kind], (item.code, item.kline_type) if item.kline_type else item.code


def _item(place: Place, depth: int) -> dict[str, str | int]:
    kind, key = place
    item: dict[str, str | int] = {"kind": kind.name.lower(), "code": code_of(key)}
    if isinstance(key, tuple):
        item["kline_type"] = key[1]
    elif depth:
        item["depth_level"] = depth
    return item
