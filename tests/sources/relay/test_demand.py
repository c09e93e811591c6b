"""Which connection carries which stream."""

from __future__ import annotations

from tickwire.sources.relay.demand import Moves, Places


def test_a_new_connection_is_only_for_what_has_no_room_on_the_others() -> None:
    places = Places(2)
    assert places.arrange("ABCDE").came == [(0, "A"), (0, "B"), (1, "C"), (1, "D"), (2, "E")]
    assert places.arrange("ACDE") == Moves([], [(0, "B")])
    assert places.arrange("ACDEF") == Moves([(0, "F")], [])
    assert [places.of(code) for code in "ABCF"] == [0, None, 1, 0]


def test_one_may_come_in_the_place_of_another() -> None:
    places = Places(1)
    places.arrange("A")
    assert places.arrange("B") == Moves([(0, "B")], [(0, "A")])


def test_without_a_limit_one_connection_does() -> None:
    assert {number for number, _ in Places(None).arrange(map(str, range(5000))).came} == {0}
