"""How long is waited before the next try."""

from __future__ import annotations

from math import inf
from random import Random

from tickwire.client import Backoff, LinkStatus
from tickwire.client.backoff import Tries
from tickwire.wire import Terms

from ..serving import until
from .bench import SLOW as OPTIONS
from .bench import Hand, closed_port, good, linked, stub


def test_delays_are_drawn_below_a_ceiling_that_doubles() -> None:
    ceilings = [0.5, 1, 2, 4, 8, 8, 8]
    draws: list[list[float]] = []
    for seed in range(300):
        tries = Tries(Backoff(first=0.5, most=8), Random(seed))
        draws.append([tries.delay() for _ in ceilings])
    for ceiling, drawn in zip(ceilings, zip(*draws, strict=True), strict=True):
        assert 0 <= min(drawn) < 0.05 * ceiling
        assert 0.95 * ceiling < max(drawn) <= ceiling


def test_a_connection_that_lasted_begins_anew_and_a_short_one_does_not() -> None:
    tries = Tries(Backoff(first=1, most=100, lasting=30), Top())
    assert [tries.delay() for _ in range(3)] == [1, 2, 4]
    tries.lasted(29.9)
    assert tries.delay() == 8
    tries.lasted(30)
    assert tries.delay() == 1


def test_tries_without_end_do_not_overflow() -> None:
    tries = Tries(Backoff(), Top())
    assert [tries.delay() for _ in range(5000)][-1] == 30


class Top(Random):
    """Dice that always fall on the top."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def test_a_link_waits_as_its_dice_say() -> None:
    hand, url = Hand(), closed_port()
    expected = Tries(OPTIONS.backoff, Random(3))
    async with linked(url, OPTIONS, clock=hand, random=Random(3)) as (link, owner):
        for _ in range(6):
            down = await owner.state(LinkStatus.DOWN)
            assert down.again == expected.delay()
            assert down.since == hand.now
            await hand.ordered()
            hand.move(down.again - 1e-6)
            assert link.state is down
            hand.move(2e-6)
            await until(lambda: owner.buffer)


async def test_a_link_that_held_long_begins_with_a_short_wait() -> None:
    hand = Hand()
    quiet = OPTIONS._replace(terms=Terms(heartbeat=inf))
    async with stub(good) as server, linked(server.url, quiet, clock=hand, random=Top()) as (_, owner):
        waits: list[float | None] = []
        for held in (0, 0, 29, 30):
            await owner.state(LinkStatus.UP)
            hand.move(held)
            await server.seats[-1].socket.close()
            down = await owner.state(LinkStatus.DOWN)
            waits.append(down.again)
            hand.move(down.again or 0)
        assert waits == [0.5, 1, 2, 0.5]
