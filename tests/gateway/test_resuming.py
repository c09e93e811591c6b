"""Whatever happens to clients, what they are given and what is said to be lacking is all that was sent."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tickwire.market import kept as kept_room

from ..bus.sides import InProcess, Sides, sides
from ..serving import book, trade
from .desks import Desk, Key, Truth, turns

SOAK = bool(os.environ.get("TICKWIRE_SOAK"))
SCHEDULES = 10_000 if SOAK else 300
AT_ONCE = 30
"""Schedules of one test."""
CODES = ("BTCUSDT", "GOLD", "ETHUSDT")
STREAMS: list[Key] = [
    *(("trade", code) for code in CODES),
    *(("depth", code) for code in CODES[:2]),
    *(("kline", code) for code in CODES[:2]),
]
STEPS = 40
T0 = 1_788_529_080_000


class Schedule:
    """Random things that happen to a few clients and to a server."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = Random(seed)
        self.folder = folder
        self.desks = [Desk(f"desk {number}", self.dice) for number in range(3)]
        self.time = T0
        self.sent = 0

    async def run(self) -> None:
        """All of it, in as many lives of the server as it takes."""
        left = STEPS
        while left:
            async with self.serving() as (at, truth):
                while left and await self.step(at, truth):
                    left -= 1
                    self.check()
                left = max(0, left - 1)
                if not left:
                    await self.settle(at, truth)
            for desk in self.desks:
                desk.cut()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Sides, Truth]]:
        scarce = self.dice.random() < 0.3
        settings: dict[str, Any] = {"plans": {"desk": {"subscriptions": "10000/1s"}}, "plan": "desk"}
        async with sides(
            InProcess,
            self.folder,
            ring_seconds=60,
            ring_bytes=3_000 if scarce else 2**26,
            client_buffer=2**16,
            **settings,
        ) as at:
            truth = Truth()
            at.engine.market.streams.join(truth)
            yield at, truth

    async def step(self, at: Sides, truth: Truth) -> bool:
        """One thing that happens. Returns False where the server ends."""
        dice = self.dice
        desk = dice.choice(self.desks)
        match dice.choices(
            ["emit", "cut", "come", "change", "resume", "pause", "go on", "old", "block", "turns", "restart"],
            [30, 8, 20, 6, 6, 6, 10, 3, 8, 12, 0.5],
        )[0]:
            case "emit":
                await self.emit(at, dice.choice([1, 3, 10, 60]), wait=dice.random() < 0.7)
            case "cut":
                desk.cut()
            case "come" if not desk.connected:
                desk.come(at.engine, truth)
                known = [key for key in desk.positions if dice.random() < 0.8]
                desk.resume(known or dice.sample(STREAMS, 3), wrong=dice.random() < 0.1)
            case "change" if desk.connected and not desk.unanswered:
                some = dice.sample(STREAMS, 2)
                desk.change(some, dice.sample(sorted(desk.live), min(1, len(desk.live))))
            case "resume" if desk.connected and not desk.changing:
                desk.resume(dice.sample(STREAMS, dice.randint(1, 3)), wrong=dice.random() < 0.2)
            case "pause":
                desk.pause()
            case "go on":
                desk.go_on()
            case "old":
                at.clock.now += 61
                at.engine.market.ring.cut()
            case "block":
                at.clock.now += 5
                at.engine.market.ring.cut()
            case "turns":
                await turns(dice.choice([1, 2, 5, 20]))
            case "restart":
                return False
        return True

    async def emit(self, at: Sides, number: int, *, wait: bool) -> None:
        source, dice = at.source, self.dice
        until = at.engine.market.events + number
        for _ in range(number):
            self.sent += 1
            self.time += dice.choice([0, 100, 5_000])
            code = dice.choice(CODES)
            is_book = dice.random() < 0.2
            source.emit(book(code, at=self.time) if is_book else trade(code, str(self.sent), at=self.time))
        if wait:
            async with asyncio.timeout(120):
                while at.engine.market.events < until:  # noqa: ASYNC110
                    await asyncio.sleep(0)

    def check(self) -> None:
        wrong = [one for desk in self.desks for one in desk.wrong]
        assert not wrong, wrong[0]

    @staticmethod
    def has_all(desk: Desk) -> bool:
        return not desk.connected or not (desk.unanswered or desk.lacks())

    async def settle(self, at: Sides, truth: Truth) -> None:
        """Everybody takes what waits, and has all that was sent."""
        for desk in self.desks:
            desk.go_on()
        await self.emit(at, 10, wait=True)
        async with asyncio.timeout(120):
            while not all(map(self.has_all, self.desks)):
                self.check()
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("first", range(0, SCHEDULES, AT_ONCE))
async def test_all_that_was_sent_is_given_or_said_to_be_lacking(
    tmp_path: Path, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_room, "SLICE", 7)
    cuts = gaps = 0
    for seed in range(first, first + AT_ONCE):
        (folder := tmp_path / str(seed)).mkdir()
        schedule = Schedule(seed, folder)
        try:
            await schedule.run()
        except AssertionError as error:
            raise AssertionError(f"schedule {seed}: {error}") from error
        cuts += sum(desk.cuts for desk in schedule.desks)
        gaps += sum(desk.gaps for desk in schedule.desks)
    assert cuts
    assert gaps
