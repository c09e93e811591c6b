"""The home of tokens: one account each, whoever asks."""

from __future__ import annotations

import pytest

from tickwire.access import UNLIMITED, Home, Limits, Plan, Rate, Seat, Seating, home
from tickwire.model import Family

OTHER, STOCK = Family.OTHER, Family.STOCK
ONE = Limits(Plan(name="one", connections=1, http=Rate(3, 60), subscriptions=Rate(1, 1)), 0, 30.0)


class Sides:
    """Client sides, and whom they were told to close."""

    def __init__(self) -> None:
        self.dismissed: list[tuple[object, int]] = []
        self.home = Home(self.dismiss)

    def dismiss(self, seat: Seat) -> None:
        self.dismissed.append((seat.who, seat.number))


def test_a_place_is_one_wherever_it_is_taken_and_free_once_it_is_left() -> None:
    at = Sides()
    assert at.home.seat("a", 1, "t", ONE, OTHER, 0.0) == Seating(seated=True)
    assert at.home.seat("b", 1, "t", ONE, OTHER, 10.0) == Seating(seated=False, wait=20.0)
    assert at.home.seat("b", 2, "t", ONE, STOCK, 10.0).seated, "of each family one"
    assert at.home.seat("b", 3, "u", ONE, OTHER, 10.0).seated, "of each token"
    at.home.leave("a", 1)
    at.home.leave("a", 1)  # again
    assert at.home.seat("b", 4, "t", ONE, OTHER, 11.0).seated
    at.home.forget("b")
    assert [
        at.home.seat("a", n, "t", ONE, family, 12.0).seated for n, family in ((5, OTHER), (6, STOCK))
    ] == [
        True,
        True,
    ]
    assert at.dismissed == []


def test_who_is_there_has_his_place_at_a_new_home_and_newcomers_have_what_is_left() -> None:
    at = Sides()
    assert at.home.seat("a", 1, "t", ONE, OTHER, 0.0, is_there=True).seated
    assert at.home.seat("b", 1, "t", ONE, OTHER, 0.0, is_there=True).seated, "whatever the limit is"
    at.home.leave("a", 1)
    assert not at.home.seat("a", 2, "t", ONE, OTHER, 1.0).seated
    at.home.leave("b", 1)
    assert at.home.seat("a", 3, "t", ONE, OTHER, 1.0).seated


def test_who_is_silent_gives_way_and_who_was_heard_does_not() -> None:
    at = Sides()
    at.home.seat("a", 1, "t", ONE, OTHER, 0.0)
    at.home.heard("a", {1: 0.5, 9: 0.0}, 25.0)
    assert at.home.seat("b", 1, "t", ONE, OTHER, 31.0) == Seating(seated=False, wait=23.5)
    assert at.home.seat("b", 2, "t", ONE, OTHER, 60.0).seated
    assert at.dismissed == [("a", 1)]
    at.home.leave("a", 1)  # it is closed now
    assert not at.home.seat("a", 2, "t", ONE, OTHER, 61.0).seated, "its place is the other one's"


def test_requests_and_subscriptions_are_counted_together() -> None:
    at = Sides()
    passed = [at.home.request("t", ONE, "kline", float(n), float(n)).wait == 0 for n in range(5)]
    assert passed == [True, True, True, False, False]
    assert at.home.request("u", ONE, "kline", 0.0, 0.0).wait == 0
    assert [at.home.subscribe("t", ONE, (OTHER, 22004), now) for now in (0.0, 0.5, 1.0)] == [
        True,
        False,
        True,
    ]
    assert at.home.subscribe("t", ONE, (OTHER, 22002), 1.0)
    wider = ONE._replace(plan=Plan(name="one", http=Rate(10, 60)))
    assert at.home.request("t", wider, "kline", 5.0, 5.0).wait == 0, "another plan from now on"


def test_those_who_are_not_connected_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    at = Sides()
    monkeypatch.setattr(home, "MOST", 2)
    at.home.seat("a", 1, "t", ONE, OTHER, 0.0)
    for label in ("u", "v", "w"):
        at.home.request(label, Limits(UNLIMITED, 0, 0.0), None, 0.0, 0.0)
    assert {*at.home._accounts} == {"t", "w"}
    assert not at.home.seat("b", 1, "t", ONE, OTHER, 1.0).seated
