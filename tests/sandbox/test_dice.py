"""Chance that can be repeated."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from tickwire.sandbox import Disconnect, Step
from tickwire.sandbox.steps import Answer, Delay, Duplicate, Late, OutOfOrder, Refuse

from .bench import CODES, Bench, client, tick


def fates(bench: Bench, labels: Iterable[str]) -> dict[str, list[float | None]]:
    """When each of sixty connections of each client is cut, if it is, in tenths of a second."""
    numbers = itertools.count(1)
    found: dict[str, list[float | None]] = {label: [] for label in labels}
    for _ in range(60):
        for label, cuts in found.items():
            one = client(label, next(numbers))
            cuts.append(next((now / 10 for now in range(101) if bench.sandbox.cut(one, now / 10)), None))
            bench.sandbox.forget(one.connection)
    return found


def test_chance_is_the_same_for_the_nth_connection_of_every_client() -> None:
    step = Disconnect(after=(2, 8), chance=0.5)
    together = fates(Bench(step), ["a", "b", "c"])
    assert together["a"] == together["b"] == together["c"] == fates(Bench(step), ["a"])["a"]
    assert fates(Bench(step, seed=2), ["a"])["a"] != together["a"]
    times = [cut for cut in together["a"] if cut is not None]
    assert 18 <= len(times) <= 42
    assert 2 <= min(times) < 4 < 6 < max(times) <= 8
    bench = Bench(step)
    one = client(connection=7)
    assert len({bench.sandbox.cut(one, 5) for _ in range(50)}) == 1  # thrown once, not at every look


def transcript(seed: int, own: int | None = None) -> list[object]:
    """All that befalls the same ticks and clients."""
    bench = Bench(seed=seed)
    ticks: list[Step] = [Late(by=(0, 1), chance=0.2), Duplicate(chance=0.3), OutOfOrder(chance=0.3)]
    bench.begin(*ticks, seed=own)
    bench.begin(
        Delay(by=(0, 9)), Refuse(chance=0.5), Disconnect(after=(0, 9)), Answer(ret=1, chance=0.5), seed=own
    )
    found: list[object] = []
    for number in range(300):
        bench.at(number / 10)
        found += [bench.shape(tick(CODES[number % 4], at=number)), bench.late()]
        one = client(connection=number + 1, opened=bench.now)
        found += [bench.sandbox.delay(one), bench.sandbox.refusal(one), bench.sandbox.answer(one, 22000)]
        found += [bench.sandbox.cut(one, bench.now + wait) for wait in range(9)]
    return found


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    assert transcript(1) == transcript(1)
    assert transcript(1) != transcript(2)
    assert transcript(1, own=5) == transcript(2, own=5) != transcript(1)
