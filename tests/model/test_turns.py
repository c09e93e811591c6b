"""Who comes next where several want more than there is."""

from __future__ import annotations

from tickwire.model.turns import in_turn


def test_who_wants_least_gets_all_of_it_and_the_others_alike() -> None:
    wishes = [[*"ABCDEFGH"], ["X"], [*"PQRST"]]
    for room in range(1, 15):
        given = in_turn(wishes)[:room]
        counts = [len({*one}.intersection(given)) for one in wishes]
        for one, count in zip(wishes, counts, strict=True):
            assert count == len(one) or count >= max(counts) - 1


def test_what_several_share_counts_for_each_whoever_has_it_first() -> None:
    rich, poor = ["A", "B", "C", "D", "E"], ["B", "F", "G"]
    for mine in (poor, [*reversed(poor)], ["F", "B", "G"]):
        for order in ([rich, mine], [mine, rich]):
            assert {*in_turn(order)[:5]} == {"A", "B", "C", "F", "G"}
