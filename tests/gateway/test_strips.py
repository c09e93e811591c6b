"""Frames that are made once for all who missed some of them."""

from __future__ import annotations

import random

import pytest

from tickwire.gateway.strips import Strips


def frame(seq: int) -> bytes:
    return b"<%d>" % seq


@pytest.mark.parametrize("seed", range(10))
def test_what_is_cut_is_what_follows_whoever_added_it(seed: int) -> None:
    dice, strips = random.Random(seed), Strips(10**6)
    stream = sorted(dice.sample(range(1, 2_000), 400))  # bars skip numbers
    cuts = 0
    for turn in range(300):
        after = [0, *stream][max(0, turn + dice.randrange(-60, 10))]
        follow = [seq for seq in stream if seq > after]
        cut = strips.cut("gold", after, dice.randrange(1, 400))
        if cut is not None:
            cuts += 1
            expected = follow[: cut.events]
            assert (cut.data, cut.last) == (b"".join(map(frame, expected)), expected[-1])
        elif follow:
            some = follow[: dice.randrange(1, 60)]
            strips.add("gold", after, some, [*map(frame, some)])
    assert cuts > 100
    assert strips.cut("gold", stream[-1], 100) is None
    assert strips.cut("oil", 0, 100) is None


def test_a_cut_is_of_about_the_size_that_is_asked_for() -> None:
    strips = Strips(10**6)
    strips.add("gold", 0, range(1, 101), [b"x" * 10] * 100)
    cut = strips.cut("gold", 4, 35)
    assert cut is not None
    assert (len(cut.data), cut.events, cut.last) == (40, 4, 8)


def test_those_that_nobody_asked_for_lately_go() -> None:
    strips = Strips(100)
    for name in ("a", "b", "c"):
        strips.add(name, 0, [1, 2, 3], [b"x" * 10] * 3)
    assert strips.cut("a", 0, 10)
    strips.add("d", 0, [1, 2, 3], [b"x" * 10] * 3)
    assert [name for name in "abcd" if strips.cut(name, 0, 10)] == ["a", "c", "d"]
    assert strips.size == 90
    strips.add("e", 0, [1], [b"x" * 101])
    assert strips.size <= 100
    strips.clear()
    assert (strips.size, strips.cut("d", 0, 10)) == (0, None)
