"""Clients that are cut, slow, and come back, without sockets: each keeps account of what it was given."""

from __future__ import annotations

import asyncio
import itertools
import json
import traceback
from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, TypeAlias

from tickwire.assembly import Engine
from tickwire.bus import StreamEvent
from tickwire.gateway.hub import Sparing
from tickwire.machine import Direct
from tickwire.model import Ending, Family, Instrument, Kind, KlineUpdate, Position, Slow, Trade
from tickwire.wire.flags import Flags
from tickwire.wire.form import Form, text_frame
from tickwire.wire.session import Decision, Session

CHANGE, RESUME = 28012, 28016
TRADE_PUSH, BOOK_PUSH, BAR_PUSH, GAP = 22998, 22999, 28998, 28993
KIND = {TRADE_PUSH: "trade", BOOK_PUSH: "depth", BAR_PUSH: "kline"}
Key: TypeAlias = tuple[str, str]
"""A kind and a code."""
BOGUS = 2**62


class Truth:
    """What a market has sent, all of it."""

    def __init__(self) -> None:
        self.sent: dict[Key, dict[int, StreamEvent]] = {}

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Way:
        return Way(self.sent.setdefault((kind.name.lower(), instrument.code), {}))

    def redefine(self, instrument: Instrument) -> None:
        pass

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        pass


class Way:
    def __init__(self, sent: dict[int, StreamEvent]) -> None:
        self._sent = sent

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        self._sent[seq] = event


class Account:
    """What a client knows of a stream: up to where it has all, and what is said to be lacking."""

    def __init__(self, epoch: int, last: int) -> None:
        self.epoch = epoch
        self.last = last


class Desk:
    """A client of a gateway. A `paused` one takes nothing, and what it was sent waits."""

    flags = Flags()
    direct: Direct | None = None

    def __init__(self, name: str, dice: Random) -> None:
        self.name = name
        self.sparing = Sparing(dice.choice([Slow.CLOSE, Slow.CONFLATE, Slow.DROP]), named=True)
        self.positions: dict[Key, Account] = {}
        """What it has had last, also of what it is not subscribed to any more."""
        self.live: set[Key] = set()
        self.shown: set[Key] = set()
        """What may begin with the last event once more."""
        self.last_heard = 0.0
        self.cuts = 0
        self.gaps = 0
        self._dice = dice
        self._session: Session | None = None
        self._engine: Engine | None = None
        self._truth: dict[Key, dict[int, StreamEvent]] = {}
        self._waiting = b""
        self._paused = self._has_outbox = False
        self._asked: dict[int, list[Key]] = {}
        self._numbers = itertools.count(1)
        self.unanswered = self._changes = 0
        self.wrong: list[str] = []
        """What it was sent and should not have been."""

    @property
    def changing(self) -> bool:
        """Whether a change is unanswered: what is on the way to it may be of before."""
        return self._changes > 0

    # What it does.
    def come(self, engine: Engine, truth: Truth) -> None:
        self._engine, self._truth = engine, truth.sent
        self._session = engine.gateway.admit(self, Family.OTHER, "t")
        self._waiting, self._paused, self._has_outbox = b"", False, False
        self.live, self.shown, self._asked = set(), set(), {}
        self.unanswered = self._changes = 0

    @property
    def connected(self) -> bool:
        return self._session is not None

    @property
    def form(self) -> Form:
        return Form(marked=self._session is not None and self._session.marked)

    @property
    def epoch(self) -> int:
        assert self._engine is not None
        return self._engine.market.epoch

    def cut(self) -> None:
        if self._engine is not None and self.connected:
            self._session = None
            self._engine.gateway.leave(self)
            self.cuts += 1

    def change(self, add: list[Key], remove: list[Key]) -> None:
        """Removes and adds; what it removes it expects nothing of once it is answered."""
        if add or remove:
            data = {"add": [*map(_item, add)], "remove": [*map(_item, remove)]}
            self._changes += 1
            self._ask(CHANGE, data, [*remove, *add])

    def resume(self, keys: list[Key], *, wrong: bool = False) -> None:
        """Goes on with these, sometimes from a place that it never was at."""
        items = []
        asked = {*self.live}.union(*self._asked.values())
        for key in keys:
            known = self.positions.get(key)
            epoch, last = (self.epoch, 0) if known is None else (known.epoch, known.last)
            if wrong and self._dice.random() < 0.3:
                epoch, last = self._dice.choice([(epoch, BOGUS), (0, 0), (epoch - 1, last), (BOGUS, 7)])
                if key not in asked:
                    self.positions[key] = Account(epoch, last)
            items.append(_item(key) | {"epoch": epoch, "seq": last})
        if items:
            self._ask(RESUME, {"items": items}, keys)

    def pause(self) -> None:
        self._paused = self.connected

    def go_on(self) -> None:
        if not self._paused or self._engine is None:
            return
        self._paused = False
        waiting, self._waiting = self._waiting, b""
        self._read(waiting)
        if self.connected:
            self._engine.gateway.quick(self)
            if self._has_outbox:
                self._engine.gateway.hub.ready(self)

    def _ask(self, cmd_id: int, data: Any, keys: list[Key]) -> None:
        assert self._engine is not None
        assert self._session is not None
        number = next(self._numbers)
        self._asked[number] = keys
        self.unanswered += 1
        request = {"cmd_id": cmd_id, "seq_id": number, "trace": "", "data": data}
        answer = self._session.receive(json.dumps(request).encode(), self._engine.gateway.clock())
        if answer.reply:
            self.push(text_frame(answer.reply))
        if answer.decision is not None:
            self._carry_out(answer.decision)

    def _carry_out(self, decision: Decision) -> None:
        assert self._engine is not None
        if frames := self._engine.gateway.carry_out(self, decision):
            self._engine.gateway.hub.push(self, frames)

    # What the gateway calls.
    @property
    def unread(self) -> int:
        return len(self._waiting)

    def push(self, data: bytes) -> bool:
        if not self.connected:
            return True
        if self._paused:
            self._waiting += data
            assert self._engine is not None
            self._engine.gateway.slow(self)
            return False
        self._read(data)
        return True

    def spare(self, *, spared: bool) -> None:
        self._has_outbox = spared

    def keep(self, size: int) -> None:
        pass

    def give_up(self) -> None:
        self.cut()

    def reset(self, why: Ending = Ending.ERROR) -> None:
        raise AssertionError("a client was ended that did nothing wrong")

    def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
        self.cut()

    # What it is sent.
    def _read(self, data: bytes) -> None:
        try:
            self._read_all(data)
        except AssertionError as error:  # which would end the client alone
            self.wrong.append(f"{self.name}: {error or 'see its messages'} {traceback.format_exc()[-400:]}")

    def _read_all(self, data: bytes) -> None:
        while data:
            size, begin = data[1], 2
            if size == 126:
                size, begin = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, begin = int.from_bytes(data[2:10], "big"), 10
            message = json.loads(data[begin : begin + size])
            data = data[begin + size :]
            if "ret" in message:
                self._answered(message)
            else:
                self._pushed(message["cmd_id"], message["data"])

    def _answered(self, answer: dict[str, Any]) -> None:
        assert answer["ret"] == 200, answer
        self.unanswered -= 1
        self._changes -= answer["cmd_id"] == CHANGE + 1
        keys, data = self._asked.pop(answer["seq_id"]), answer["data"]
        told = data["items"] if answer["cmd_id"] == RESUME + 1 else [*data["removed"], *data["added"]]
        assert [(one["kind"], one["code"]) for one in told] == keys
        removed = len(data.get("removed", ()))
        for place, (key, one) in enumerate(zip(keys, told, strict=True)):
            state = one["state"]
            if answer["cmd_id"] == RESUME + 1:
                self._resumed(key, one)
            elif place < removed:
                assert (state == "ok") is (key in self.live), (key, state)
                self.live.discard(key)
            else:
                assert state == ("already" if key in self.live else "ok"), (key, state)
                if state == "ok":  # the last event comes once more
                    last = one["seq"] if key[0] == "kline" else one["seq"] - 1
                    self.positions[key] = Account(one["epoch"], max(last, one["epoch"] - 1))
                    self.live.add(key)
                    self.shown.add(key)

    def _resumed(self, key: Key, one: dict[str, Any]) -> None:
        if key in self.live:
            assert one["state"] == "already"
            return
        assert one["state"] in ("resumed", "gap"), one
        known = self.positions.get(key)
        assert one["epoch"] == self.epoch
        if one["state"] == "resumed":
            if key[0] == "trade":
                at = self.epoch - 1 if known is None or known.last < self.epoch else known.last
                assert one["from"] == at + 1, (one, at)
                assert known is None or known.epoch == self.epoch
            else:
                at = one["from"] - 1 if known is None or known.epoch != self.epoch else known.last
            self.positions[key] = Account(self.epoch, at)
        else:
            self.gaps += 1
            self.positions[key] = Account(self.epoch, one["from"] - 1)
        self.live.add(key)

    def _pushed(self, cmd_id: int, data: dict[str, Any]) -> None:
        if cmd_id == GAP:
            key = data["kind"], data["code"]
            assert key in self.live
            assert data["from"] > self.positions[key].last
            self.gaps += 1
            self.positions[key].last = data["from"] - 1
            return
        if cmd_id == 28995:
            return
        key, seq = (KIND[cmd_id], data["code"]), data["seq"]
        assert key in self.live, f"{key} was not asked for"
        known, sent = self.positions[key], self._truth[key]
        assert known.epoch == self.epoch
        if key[0] == "kline" and seq == known.last and key in self.shown:
            return  # the bar that forms, once more, to who has just subscribed to it
        self.shown.discard(key)
        assert seq > known.last, f"{key} {seq - self.epoch} came again, or too late"
        event = sent[seq]
        if isinstance(event, Trade):
            first = data.get("first_seq", seq)
            if self.sparing.slow is not Slow.DROP:  # which says how many, not which
                assert first == known.last + 1, f"{key}: {known.last + 1 - self.epoch} is missing"
            assert data.get("trades", 1) == seq + 1 - first
            assert Decimal(data["price"]) == event.price
        elif isinstance(event, KlineUpdate):
            between = [sent[one] for one in range(known.last + 1, seq) if one in sent]
            missing = [one for one in between if isinstance(one, KlineUpdate) and one.state != "forming"]
            assert not missing, f"{key}: bars are missing before {seq - self.epoch}"
            assert Decimal(data["close_price"]) == event.kline.close
        known.last = seq

    # In the end.
    def lacks(self) -> list[Key]:
        """What it has not all of that was sent."""
        return [
            key for key in self.live if self.positions[key].last < max(self._truth.get(key, ()), default=0)
        ]


def _item(key: Key) -> dict[str, Any]:
    kind, code = key
    return {"kind": kind, "code": code} | ({"kline_type": 1} if kind == "kline" else {})


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
