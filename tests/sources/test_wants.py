"""Who is subscribed to where upstream has not room for all."""

from __future__ import annotations

from tickwire.model import Kind
from tickwire.sources.source import ASKED, SUBSCRIBED
from tickwire.sources.wants import REFUSED, Wants


def subscribe(wants: Wants[str], others: list[str], new: list[str], now: float) -> list[str]:
    """What is done with a subscription beside those of others; returns those that have room."""
    found = wants.room([*others, *new])
    wants.renew(found, now)
    return [code for code in dict.fromkeys(new) if code in found]


def test_what_is_kept_is_always_wanted_and_the_rest_while_it_is_renewed() -> None:
    wants = Wants(["K"], None)
    assert wants.renew(["A", "B"], 0.0) == ["A", "B"]
    assert wants.renew(["B"], 60.0) == []
    assert wants.target() == ["K", "A", "B"]
    wants.lapse(SUBSCRIBED)
    assert wants.target() == ["K", "B"]
    wants.lapse(60.0 + SUBSCRIBED)
    assert wants.target() == ["K"]


def test_streams_lapse_and_the_longer_want_counts() -> None:
    kept, one, two = (Kind.TRADE, "A"), (Kind.TRADE, "B"), (Kind.DEPTH, "B")
    wants = Wants([kept], None)
    wants.renew([kept, one, two], 0.0)
    wants.ask([two], 0.0)
    wants.renew([two], 1.0)
    wants.lapse(SUBSCRIBED - 0.1)
    assert set(wants.target()) == {kept, one, two}
    wants.lapse(SUBSCRIBED)
    assert set(wants.target()) == {kept, two}
    wants.lapse(ASKED)
    assert set(wants.target()) == {kept}


def test_a_request_over_http_counts_for_some_minutes() -> None:
    wants = Wants[str]([], None)
    wants.ask(["A"], 0.0)
    wants.renew(["A"], 10.0)
    wants.lapse(ASKED - 1)
    assert wants.target() == ["A"]
    wants.lapse(ASKED)
    assert wants.target() == []


def test_more_than_the_plan_allows_has_no_room() -> None:
    wants = Wants(["K"], 3)
    assert subscribe(wants, [], ["A", "B", "C", "A"], 0.0) == ["A", "B"]
    assert wants.target() == ["K", "A", "B"]
    assert subscribe(wants, ["A", "B"], ["C"], 10.0) == []
    assert subscribe(wants, ["A", "B"], ["B", "K", "C"], 20.0) == ["B", "K"]


def test_what_was_not_renewed_gives_way() -> None:
    wants = Wants[str]([], 3)
    subscribe(wants, [], ["A", "B", "C"], 0.0)
    wants.renew(["A", "B", "C"], 30.0)
    assert subscribe(wants, ["B"], ["D"], 40.0) == ["D"]
    assert set(wants.target()) >= {"B", "D"}
    assert len(wants.target()) == 3
    assert subscribe(wants, ["B", "D"], ["E", "F"], 40.0) == ["E"]
    assert wants.target() == ["B", "D", "E"]


def test_who_changes_his_mind_at_once_makes_room_for_himself() -> None:
    wants = Wants[str]([], 2)
    assert subscribe(wants, [], ["A", "B"], 0.0) == ["A", "B"]
    assert subscribe(wants, [], ["C", "D"], 0.001) == ["C", "D"]
    assert subscribe(wants, [], ["A"], 0.002) == ["A"]
    assert len(wants.target()) == 2


def test_those_of_two_who_come_at_once_both_count() -> None:
    wants = Wants[str]([], 3)
    assert subscribe(wants, [], ["A", "B"], 0.0) == ["A", "B"]
    assert subscribe(wants, ["A", "B"], ["C", "D"], 0.0) == ["C"]
    assert subscribe(wants, ["A", "B", "C"], ["D"], 0.0) == []


def test_a_question_changes_nothing() -> None:
    wants = Wants[str]([], 1)
    subscribe(wants, [], ["A"], 0.0)
    for _ in range(2):
        assert wants.room(["B", "A"]) == ["B"]
        assert wants.room(["A", "B"]) == ["A"]
    assert wants.target() == ["A"]


def test_who_is_not_renewed_keeps_a_place_that_nobody_needs() -> None:
    wants = Wants[str]([], 2)
    wants.renew(["A"], 0.0)
    wants.renew(["B"], 1.0)
    assert wants.target() == ["A", "B"]
    assert wants.renew(["B", "C"], 2.0) == ["C"]
    assert wants.target() == ["B", "C"]


def test_interest_over_http_takes_only_what_is_left_and_goes_first() -> None:
    wants = Wants(["K"], 4)
    wants.renew(["A"], 0.0)
    wants.ask(["H", "I", "J", "A", "K"], 0.0)
    assert wants.target() == ["K", "A", "H", "I"]
    wants.ask(["I"], 1.0)
    assert subscribe(wants, ["A"], ["B"], 2.0) == ["B"]
    assert sorted(wants.target()) == ["A", "B", "I", "K"]
    assert subscribe(wants, ["A", "B"], ["I", "C"], 3.0) == ["I"]
    assert sorted(wants.target()) == ["A", "B", "I", "K"]


def test_a_lapsed_subscription_that_http_asks_for_is_interest_only() -> None:
    wants = Wants[str]([], 2)
    wants.renew(["A"], 0.0)
    wants.ask(["A"], 1.0)
    wants.renew(["B"], 95.0)
    assert subscribe(wants, ["B"], ["C"], 100.0) == ["C"]
    assert wants.target() == ["B", "C"]


def test_what_upstream_refuses_is_left_alone_for_a_while() -> None:
    wants = Wants(["K"], 2)
    wants.renew(["A"], 0.0)
    wants.refuse(["A", "K"], 0.0)
    assert wants.target() == []
    assert wants.renew(["A"], 1.0) == []
    wants.ask(["A", "B"], 1.0)
    assert wants.target() == ["B"]
    assert wants.refused(["A", "B"]) == {"A"}
    assert wants.room(["A", "K", "B"]) == ["B"]
    assert subscribe(wants, [], ["C", "D"], 2.0) == ["C", "D"]
    wants.renew(["C", "D"], REFUSED - 1)
    wants.lapse(REFUSED)
    assert wants.target() == ["K", "C"]
    assert wants.renew(["C", "A"], REFUSED) == []


def test_settings_may_want_more_than_there_is_room_for() -> None:
    wants = Wants(["K", "L", "M", "K"], 2)
    assert wants.left_out == ("M",)
    assert wants.target() == ["K", "L"]
    assert wants.renew(["M"], 0.0) == []
