"""What becomes of a list that is refused, whole or in part, or not answered."""

from __future__ import annotations

from math import inf

import pytest

from tickwire.model import Kind
from tickwire.wire import Refusal, Subscribed, Terms

from .test_conversation import ALIVE, CANCEL, DEPTH, HEARTBEAT, TRADES, Talk
from .test_upstream import text


# Room.
def test_streams_beyond_the_limit_are_told_once_and_come_in_when_there_is_room() -> None:
    talk = Talk(Terms(spacing=1.0, codes=2, heartbeat=inf))
    talk.conversation.add(trades=["A", "B", "C"], books={"C": 0})
    trades, books = talk.requests()
    assert [one["code"] for one in trades["data"]["symbol_list"]] == ["A", "B"]
    assert talk.told == [Refusal(Kind.TRADE, ("C",), 603, "no room for more than 2 on this connection", None)]
    talk.answer(trades)
    talk.answer(books)
    assert talk.requests(102.0) == []
    talk.conversation.remove(trades=["A"])
    assert talk.codes(103.0) == (TRADES, ["B", "C"])
    assert len(talk.told) == 1


# Refusals.
def test_what_is_asked_too_fast_is_asked_again_after_the_spacing_and_then_late() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"])
    assert talk.answer(talk.request(), 605, "too many requests") == [
        Refusal(Kind.TRADE, ("A",), 605, "too many requests", 1.0)
    ]
    assert talk.requests(100.9) == []
    (told,) = talk.answer(talk.request(101.0), 605)
    assert isinstance(told, Refusal)
    assert told.again == 10.0  # a third one within 10 s of the first would end the connection
    assert talk.requests(110.9) == []
    assert talk.codes(111.0) == (TRADES, ["A"])


def test_after_606_the_next_connection_is_asked_later() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"], books={"A": 0})
    trades, books = talk.requests()
    talk.answer(books)
    (told,) = talk.answer(trades, 606)
    assert isinstance(told, Refusal)
    assert told.again == 10.0
    talk.conversation.closed()
    talk.conversation.opened(101.0)
    talk.answer(request := talk.request(101.0))
    assert request["cmd_id"] == DEPTH
    assert talk.requests(109.9) == []
    assert talk.codes(110.0) == (TRADES, ["A"])


@pytest.mark.parametrize("ret", [600, 604, 400])
def test_a_code_that_is_refused_for_good_is_asked_for_on_the_next_connection_only(ret: int) -> None:
    talk = Talk()
    talk.subscribe("A")
    talk.conversation.add(trades=["X"])
    assert talk.answer(talk.request(talk.at + 1), ret, "no") == [Refusal(Kind.TRADE, ("X",), ret, "no", None)]
    assert talk.requests(talk.at + 5) == []
    talk.conversation.add(trades=["B"])
    assert talk.codes(talk.at + 1) == (TRADES, ["A", "B"])
    talk.conversation.closed()
    talk.conversation.opened(talk.at + 10)
    assert talk.codes(talk.at + 10) == (TRADES, ["A", "X", "B"])


def test_a_code_that_was_refused_is_asked_for_when_it_is_added_anew() -> None:
    talk = Talk()
    talk.conversation.add(trades=["X"])
    talk.answer(talk.request(), 600)
    talk.conversation.remove(trades=["X"])
    talk.conversation.add(trades=["X"])
    assert talk.codes(101.0) == (TRADES, ["X"])


def test_what_a_refused_list_left_in_effect_is_cancelled_when_it_is_not_wanted() -> None:
    talk = Talk()
    talk.subscribe("A")
    talk.conversation.remove(trades=["A"])
    talk.conversation.add(trades=["X"])
    assert talk.codes(talk.at + 1) == (TRADES, ["X"])
    talk.conversation.receive(text({"ret": 600, "msg": "", "cmd_id": TRADES + 1, "seq_id": 2}), talk.at)
    assert talk.codes(talk.at + 1) == (CANCEL, [])


def test_more_than_the_plan_allows_shrinks_to_what_it_took() -> None:
    talk = Talk()
    talk.subscribe("A", "B")
    talk.conversation.add(trades=["C", "D"])
    (told,) = talk.answer(talk.request(talk.at + 1), 603)
    assert isinstance(told, Refusal)
    assert (told.keys, told.again) == (("C", "D"), None)
    assert talk.requests(talk.at + 3) == []


def test_more_than_the_plan_allows_from_the_first_is_halved_until_it_fits() -> None:
    talk = Talk()
    talk.conversation.add(trades=list("ABCDEFG"))
    sizes: list[int] = []
    for _ in range(10):
        for request in talk.requests(talk.at + 1):
            sizes.append(len(request["data"]["symbol_list"]))
            talk.answer(request, 603 if sizes[-1] > 1 else 200)
    assert sizes == [7, 3, 1]


def test_an_error_that_may_pass_is_followed_by_longer_and_longer_pauses() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"])
    pauses: list[float | None] = []
    for _ in range(9):
        (told,) = talk.answer(talk.request(talk.conversation.due(talk.at) if pauses else 100.0), 500)
        assert isinstance(told, Refusal)
        pauses.append(told.again)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    talk.answer(talk.request(talk.conversation.due(talk.at)))
    talk.conversation.add(trades=["B"])
    (told,) = talk.answer(talk.request(talk.at + 1), 500)
    assert isinstance(told, Refusal)
    assert told.again == 1.0


def test_a_request_that_is_not_answered_is_sent_again() -> None:
    talk = Talk(ALIVE)
    talk.conversation.add(trades=["A"])
    talk.request()
    for at in range(101, 110):
        assert talk.conversation.receive(text({"ret": 200, "cmd_id": 22001, "seq_id": 99}), at) == []
    assert [one["cmd_id"] for one in talk.requests(110.0)] == [HEARTBEAT]
    assert talk.told == [Refusal(Kind.TRADE, ("A",), 0, "no answer", 1.0)]
    assert talk.codes(111.0) == (TRADES, ["A"])


def test_an_answer_counts_for_the_request_of_its_number() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"])
    request = talk.request()
    stray = {"ret": 600, "msg": "", "cmd_id": TRADES + 1}
    assert talk.conversation.receive(text(stray | {"seq_id": 77}), 100.0) == []
    assert talk.conversation.receive(text(stray | {"seq_id": 0, "cmd_id": DEPTH + 1}), 100.0) == []
    assert talk.answer(request) == [Subscribed(Kind.TRADE, ("A",))]
    assert talk.answer(request, 600) == []


def test_an_answer_without_a_number_goes_by_its_command() -> None:
    talk = Talk()
    talk.conversation.add(books={"A": 0})
    talk.request()
    assert talk.conversation.receive(text({"ret": 200, "cmd_id": "22003"}), 100.0) == [
        Subscribed(Kind.DEPTH, ("A",))
    ]
