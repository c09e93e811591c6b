"""What instruments do, as a client follows it: asked on each connection anew, and each change told once."""

from __future__ import annotations

from typing import Any

import pytest

from tickwire.wire import Bad, Happening, MarketState
from tickwire.wire.items import MOST_ITEMS
from tickwire.wire.states import StateData, state_frame
from tickwire.wire.upstream import read

from .test_changes import CHANGE, HELLO, RESUME, Tickwire
from .test_conversation import Talk
from .test_upstream import text

FOLLOW, FORGET = 28024, 28026
OFFER = {"extensions": [HELLO, CHANGE, RESUME, FOLLOW, FORGET]}
AT = 1795364866865


def push(talk: Talk, code: str, state: str) -> list[Happening]:
    """The server says what an instrument does."""
    data = {"code": code, "state": state, "time": AT}
    return talk.conversation.receive(text({"cmd_id": 28994, "data": data}), talk.at)


def following(*codes: str) -> Tickwire:
    """These are followed, and open."""
    talk = Tickwire(offer=OFFER)
    talk.conversation.add(states=codes)
    assert talk.conversation.due(talk.at) == talk.at
    assert talk.codes() == (FOLLOW, [*codes])
    for code in codes:
        assert push(talk, code, "open") == [MarketState(code, "open", AT)]
    return talk


def test_a_state_is_told_when_it_is_another_one() -> None:
    talk = following("GOLD")
    assert push(talk, "GOLD", "open") == []
    assert push(talk, "GOLD", "halted") == [MarketState("GOLD", "halted", AT)]
    assert push(talk, "BTCUSDT", "halted") == [], "nobody asked"
    assert talk.requests() == []
    assert talk.conversation.followed == ("GOLD",)


def test_a_new_connection_is_asked_again_and_repeats_nothing() -> None:
    talk = following("GOLD", "BTCUSDT")
    talk.reopen(OFFER)
    assert talk.codes() == (FOLLOW, ["GOLD", "BTCUSDT"])
    assert push(talk, "GOLD", "open") == []
    assert push(talk, "BTCUSDT", "closed") == [MarketState("BTCUSDT", "closed", AT)]


def test_the_whole_list_is_sent_when_it_changes_and_its_end_once() -> None:
    talk = following("GOLD")
    talk.conversation.add(states=["GOLD"])
    assert talk.requests() == []
    talk.conversation.add(states=["BTCUSDT"])
    assert talk.codes() == (FOLLOW, ["GOLD", "BTCUSDT"])
    talk.conversation.remove(states=["GOLD", "EURUSD"])
    assert talk.codes() == (FOLLOW, ["BTCUSDT"])
    assert push(talk, "GOLD", "halted") == []
    talk.conversation.remove(states=["BTCUSDT"])
    assert talk.codes() == (FORGET, [])
    assert talk.requests() == []
    talk.reopen(OFFER)
    assert talk.requests() == []


@pytest.mark.parametrize("offer", [{"extensions": [HELLO, CHANGE, RESUME]}, None])
def test_of_a_server_that_does_not_say_it_they_are_unknown(offer: dict[str, Any] | None) -> None:
    talk = Talk() if offer is None else Tickwire(offer=offer)
    talk.conversation.add(states=["GOLD"])
    assert talk.conversation.due(talk.at) == talk.at
    assert talk.requests() == []
    assert talk.told == [MarketState("GOLD", "unknown", 0)]
    talk.conversation.opened(talk.at + 1.0)
    assert talk.requests() == []
    assert len(talk.told) == 1, "nothing has changed"


def test_one_that_came_from_a_server_that_said_it_says_so_too() -> None:
    talk = following("GOLD")
    talk.conversation.opened(talk.at + 1.0)
    talk.requests()
    assert talk.told == [MarketState("GOLD", "unknown", 0)]
    talk.reopen(OFFER)
    assert talk.codes() == (FOLLOW, ["GOLD"])
    assert push(talk, "GOLD", "open") == [MarketState("GOLD", "open", AT)]


def test_nothing_is_said_before_the_server_has_said_who_it_is() -> None:
    talk = Talk()
    talk.conversation.opened(100.0, greets=True)
    talk.conversation.add(states=["GOLD"])
    (hello,) = talk.requests()
    assert (hello["cmd_id"], talk.requests(), talk.told) == (HELLO, [], [])
    talk.answer(hello, 400)
    assert (talk.requests(), talk.told) == ([], [MarketState("GOLD", "unknown", 0)])


def test_what_is_refused_is_unknown() -> None:
    talk = Tickwire(offer=OFFER)
    talk.conversation.add(states=["NOPE"])
    assert talk.answer(talk.request(), 600, "code invalid") == [MarketState("NOPE", "unknown", 0)]
    assert talk.requests() == []


def test_an_answer_to_a_list_that_was_replaced_says_nothing() -> None:
    talk = Tickwire(offer=OFFER)
    talk.conversation.add(states=["NOPE"])
    first = talk.request()
    talk.conversation.add(states=["GOLD"])
    second = talk.request()
    assert talk.answer(first, 600, "code invalid") == []
    assert talk.answer(second) == []
    assert push(talk, "GOLD", "open") == [MarketState("GOLD", "open", AT)]


def test_what_one_request_cannot_hold_is_unknown_until_there_is_room() -> None:
    codes = [f"C{number}" for number in range(MOST_ITEMS + 2)]
    talk = Tickwire(offer=OFFER)
    talk.conversation.add(states=codes)
    assert talk.codes() == (FOLLOW, codes[:MOST_ITEMS])
    assert talk.told == [MarketState(code, "unknown", 0) for code in codes[-2:]]
    talk.conversation.remove(states=["C0"])
    assert talk.codes() == (FOLLOW, codes[1 : MOST_ITEMS + 1])
    assert push(talk, codes[MOST_ITEMS], "open") == [MarketState(codes[MOST_ITEMS], "open", AT)]
    assert len(talk.told) == 2


def test_a_client_reads_the_server_s_own_frame() -> None:
    frame = state_frame(StateData("GOLD", "limit-up", AT))
    (told,) = read(frame[2:])
    assert told == MarketState("GOLD", "limit-up", AT)
    assert isinstance(told, MarketState)
    assert told.time.isoformat() == "2026-11-22T16:27:46.865000+00:00"


@pytest.mark.parametrize(
    "wrong", [{"state": ""}, {"state": "x" * 41}, {"time": 5}, {"code": ""}, {"state": None}]
)
def test_what_is_no_state_is_told(wrong: dict[str, Any]) -> None:
    data = {"code": "GOLD", "state": "open", "time": str(AT)}
    assert read(text({"cmd_id": 28994, "data": data})) == [MarketState("GOLD", "open", AT)]
    (bad,) = read(text({"cmd_id": 28994, "data": data | wrong}))
    assert isinstance(bad, Bad)
