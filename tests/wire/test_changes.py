"""A conversation with a server that takes changes and resumes, without sockets."""

from __future__ import annotations

from typing import Any

import pytest

from tickwire.model import Kind, Position
from tickwire.wire import Bad, Happening, Pushed, Refusal, Resumed, Subscribed, Terms
from tickwire.wire.conversation import PATIENCE
from tickwire.wire.items import MOST_ITEMS

from .test_conversation import ALIVE, QUIET, TRADES, Talk
from .test_upstream import TRADE, changed, text

HELLO, CHANGE, RESUME, GAP = 28000, 28012, 28016, 28993
EPOCH = 1_788_530_000_000
OFFER = {"extensions": [HELLO, CHANGE, RESUME], "plan": {"name": "desk", "subscriptions": "1/1s"}}


class Tickwire(Talk):
    """A conversation with a server that has said who it is."""

    def __init__(self, terms: Terms = QUIET, offer: dict[str, Any] | None = None) -> None:
        super().__init__(terms)
        self.reopen(offer)

    def reopen(self, offer: dict[str, Any] | None = None) -> None:
        """Another connection."""
        self.at += 10.0
        self.conversation.closed()
        self.conversation.opened(self.at, greets=True)
        hello = self.request()
        assert hello["cmd_id"] == HELLO
        self.data(hello, OFFER if offer is None else offer)

    def data(self, request: dict[str, Any], data: dict[str, Any], **more: Any) -> list[Happening]:
        """The server answers with that data."""
        head = {"ret": 200, "msg": "ok", "cmd_id": request["cmd_id"] + 1, "seq_id": request["seq_id"]}
        return self.conversation.receive(text(head | {"data": data} | more), self.at)

    def take(self, request: dict[str, Any], state: str = "ok", **more: Any) -> list[Happening]:
        """The server says that of all items."""
        asked = request["data"]
        items = [one | {"state": state} | more for one in asked.get("add", []) + asked.get("items", [])]
        removed = [one | {"state": "ok"} for one in asked.get("remove", [])]
        return self.data(request, {"added": items, "removed": removed, "items": items})

    def push(self, seq: int, code: str = "GOLD", **more: Any) -> list[Happening]:
        return self.conversation.receive(text(changed(TRADE, seq=EPOCH + seq, code=code, **more)), self.at)

    def push_one_behind(self) -> list[list[type[Happening]]]:
        """Two pushes, of which the second has the lower number and the later time."""
        pushes = [self.push(7), self.push(6, tick_time=TRADE["data"]["tick_time"] + 1)]
        return [[type(one) for one in push] for push in pushes]


def item(code: str, **more: Any) -> dict[str, Any]:
    return {"kind": "trade", "code": code, **more}


def going(talk: Tickwire, *codes: str, last: int = 5) -> Tickwire:
    """Trades of these are subscribed to, and came up to that one."""
    talk.conversation.add(trades=codes)
    talk.take(talk.request(), epoch=EPOCH, seq=0)
    for code in codes:
        talk.push(last, code)
    return talk


def test_nothing_is_asked_before_the_server_has_said_who_it_is() -> None:
    talk = Talk()
    talk.conversation.opened(100.0, greets=True)
    talk.conversation.add(trades=["GOLD"])
    hello = talk.request()
    assert (hello["cmd_id"], talk.requests()) == (HELLO, [])
    assert talk.conversation.due(100.0) == 100.0 + PATIENCE
    talk.answer(hello, 400)
    assert talk.codes() == (TRADES, ["GOLD"])


@pytest.mark.parametrize("offer", [{}, {"extensions": [28004, CHANGE]}, {"extensions": "many"}])
def test_a_server_that_offers_less_is_asked_for_lists(offer: dict[str, Any]) -> None:
    talk = Tickwire(offer=offer)
    talk.conversation.add(trades=["GOLD"])
    assert talk.codes(talk.at + PATIENCE) == (TRADES, ["GOLD"])


def test_one_that_says_nothing_is_asked_for_lists_after_a_while() -> None:
    talk = Talk(ALIVE)
    talk.conversation.opened(100.0, greets=True)
    talk.conversation.add(trades=["GOLD"])
    assert talk.request()["cmd_id"] == HELLO
    assert talk.requests(100.0 + PATIENCE - 0.1) == []
    assert talk.codes(100.0 + PATIENCE) == (TRADES, ["GOLD"])


def test_what_is_added_and_removed_goes_into_one_request() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["GOLD"], books={"GOLD": 5}, klines=[("GOLD", 1)], corrections=["GOLD"])
    request = talk.request()
    assert request["data"]["add"] == [
        {"kind": "trade", "code": "GOLD"},
        {"kind": "depth", "code": "GOLD", "depth_level": 5},
        {"kind": "kline", "code": "GOLD", "kline_type": 1},
        {"kind": "correction", "code": "GOLD"},
    ]
    assert {one.kind for one in talk.take(request) if isinstance(one, Subscribed)} == {*Kind}
    talk.conversation.add(books={"GOLD": 1}, trades=["A"])
    talk.conversation.remove(klines=[("GOLD", 1)], corrections=["GOLD"])
    assert talk.requests() == []  # the plan wants a second between them
    request = talk.request(talk.at + 1)
    assert request["data"] == {
        "add": [item("A"), {"kind": "depth", "code": "GOLD", "depth_level": 1}],
        "remove": [
            {"kind": "kline", "code": "GOLD", "kline_type": 1},
            {"kind": "correction", "code": "GOLD"},
        ],
    }
    assert talk.take(request) == [
        Subscribed(Kind.TRADE, ("GOLD", "A")),
        Subscribed(Kind.DEPTH, ("GOLD",)),
        Subscribed(Kind.KLINE, ()),
        Subscribed(Kind.CORRECTION, ()),
    ]


def test_a_plan_without_that_limit_needs_no_spacing() -> None:
    talk = Tickwire(offer=OFFER | {"plan": {"name": "unlimited"}})
    for code in ("A", "B"):
        talk.conversation.add(trades=[code])
        talk.take(talk.request())


def test_many_are_asked_for_in_parts() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=[f"C{number}" for number in range(MOST_ITEMS + 2)])
    talk.take(first := talk.request())
    assert len(first["data"]["add"]) == MOST_ITEMS
    assert len(talk.request(talk.at + 1)["data"]["add"]) == 2


def test_states_are_the_refusals_that_lists_have() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["A", "B", "C", "D", "E"])
    states = ("unknown", "unauthorized", "over_limit", "pending")  # and nothing of the last one
    added = [item(code, state=state) for code, state in zip("ABCD", states, strict=True)]
    assert talk.data(talk.request(), {"added": added, "removed": []}) == [
        Subscribed(Kind.TRADE, ("D",)),
        Refusal(Kind.TRADE, ("A", "E"), 600, "code invalid", None),
        Refusal(Kind.TRADE, ("B",), 604, "code unauthorized", None),
        Refusal(Kind.TRADE, ("C",), 603, "token level not enough", None),
    ]
    assert talk.requests(talk.at + 1) == []
    talk.conversation.remove(trades=["D"])
    assert talk.request(talk.at + 1)["data"] == {"add": [item("C")], "remove": [item("D")]}


@pytest.mark.parametrize("ret", [605, 606, 500])
def test_a_request_that_is_refused_for_now_is_made_again(ret: int) -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["GOLD"])
    (refusal,) = talk.answer(talk.request(), ret, "later")
    assert isinstance(refusal, Refusal)
    assert refusal.again
    assert talk.requests(talk.at + refusal.again - 0.1) == []
    assert talk.request(talk.at + 0.2)["data"] == {"add": [item("GOLD")]}


def test_a_change_that_is_not_answered_is_made_again() -> None:
    talk = Tickwire(ALIVE)
    talk.conversation.add(trades=["GOLD"])
    talk.request()
    again = talk.requests(talk.at + ALIVE.mute)
    assert next(one for one in talk.told if isinstance(one, Refusal)).msg == "no answer"
    assert [one["cmd_id"] for one in again if one["cmd_id"] == CHANGE] == []
    assert talk.requests(talk.at + 1)[0]["data"] == {"add": [item("GOLD")]}


@pytest.mark.parametrize("data", [{"added": 5}, {"added": [{"state": "ok"}]}, None, []])
def test_an_answer_that_cannot_be_read_ends_nothing(data: Any) -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["GOLD"])
    found = talk.data(talk.request(), data)
    assert all(isinstance(one, (Bad, Refusal)) for one in found)
    assert talk.push(1)


# Resumes.
def test_after_a_cut_each_goes_on_from_where_it_is() -> None:
    talk = going(Tickwire(), "GOLD", "EURUSD")
    talk.push(6)
    talk.conversation.add(trades=["NEW"])
    talk.reopen()
    request = talk.request()
    assert request["cmd_id"] == RESUME
    assert request["data"]["items"] == [
        item("GOLD", epoch=EPOCH, seq=EPOCH + 6),
        item("EURUSD", epoch=EPOCH, seq=EPOCH + 5),
    ]
    told = talk.data(
        request,
        {
            "items": [
                item("GOLD", state="resumed", epoch=EPOCH) | {"from": EPOCH + 7},
                item("EURUSD", state="gap", epoch=EPOCH) | {"from": EPOCH + 9},
            ]
        },
    )
    assert told == [
        Resumed(Kind.TRADE, ("GOLD",), (("EURUSD", 3),)),
        Subscribed(Kind.TRADE, ("GOLD", "EURUSD")),
    ]
    assert talk.request()["data"] == {"add": [item("NEW")]}
    assert talk.push(6) == []  # it came already
    assert [type(one) for one in talk.push(7)] == [Pushed]


def test_what_nothing_came_of_goes_on_from_where_it_was_added() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["GOLD", "QUIET"])
    added = [
        item("GOLD", state="ok", epoch=EPOCH, seq=EPOCH + 3),
        item("QUIET", state="ok", epoch=EPOCH, seq=0),
    ]
    talk.data(talk.request(), {"added": added})
    talk.reopen()
    assert talk.request()["data"]["items"] == [
        item("GOLD", epoch=EPOCH, seq=EPOCH + 2),  # the last event was to follow
        item("QUIET", epoch=EPOCH, seq=0),
    ]


def test_a_cut_while_it_is_resumed_is_resumed_from_what_came() -> None:
    talk = going(Tickwire(), "GOLD")
    talk.reopen()
    talk.take(talk.request(), "resumed", epoch=EPOCH, **{"from": EPOCH + 6})
    talk.push(6)
    talk.reopen()
    assert talk.request()["data"]["items"] == [item("GOLD", epoch=EPOCH, seq=EPOCH + 6)]


def test_in_another_epoch_nobody_knows_how_many_are_missing() -> None:
    talk, later = going(Tickwire(), "GOLD"), EPOCH + 1000
    talk.reopen()
    (told, _) = talk.take(talk.request(), "gap", epoch=later, **{"from": later})
    assert told == Resumed(Kind.TRADE, (), (("GOLD", None),))
    talk.reopen()  # before anything came of it
    assert talk.request()["data"]["items"] == [item("GOLD", epoch=EPOCH, seq=EPOCH + 5)]


def test_a_position_that_is_handed_in_is_gone_on_from_and_not_told_again() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["GOLD"])
    talk.conversation.begin(Kind.TRADE, "GOLD", Position(EPOCH, EPOCH + 5), 0)
    request = talk.request()
    assert request["data"]["items"] == [item("GOLD", epoch=EPOCH, seq=EPOCH + 5)]
    talk.take(request, "resumed", epoch=EPOCH, **{"from": EPOCH + 6})
    assert talk.conversation.position(Kind.TRADE, "GOLD", EPOCH + 5) == (EPOCH, EPOCH + 5)
    assert talk.requests(talk.at + 1) == []


def test_a_resume_that_comes_to_nothing_is_a_change_behind_a_hole() -> None:
    talk = going(Tickwire(), "GOLD")
    talk.reopen()
    assert talk.answer(talk.request(), 400, "no") == []
    assert talk.request()["data"] == {"add": [item("GOLD")]}


def test_what_is_not_wanted_any_more_is_not_resumed() -> None:
    talk = going(Tickwire(), "GOLD", "EURUSD")
    talk.conversation.closed()
    talk.conversation.opened(talk.at, greets=True)
    hello = talk.request()
    talk.conversation.remove(trades=["GOLD"])
    talk.data(hello, OFFER)
    assert [one["code"] for one in talk.request()["data"]["items"]] == ["EURUSD"]


def test_the_server_says_itself_when_it_lets_go() -> None:
    talk = going(Tickwire(), "GOLD")
    push: dict[str, Any] = {"cmd_id": GAP, "data": item("GOLD", epoch=EPOCH, gap=1) | {"from": EPOCH + 9}}
    assert talk.conversation.receive(text(push), talk.at) == [Resumed(Kind.TRADE, (), (("GOLD", 3),))]
    push["data"] |= {"gap": 0, "epoch": EPOCH + 50, "from": EPOCH + 50}
    assert talk.conversation.receive(text(push), talk.at) == [Resumed(Kind.TRADE, ("GOLD",), ())]
    talk.push(50)
    assert talk.conversation.position(Kind.TRADE, "GOLD", EPOCH + 50) == (EPOCH + 50, EPOCH + 50)
    push["data"]["code"] = "NONE"
    assert talk.conversation.receive(text(push), talk.at) == []


def test_what_is_taken_back_before_the_server_heard_of_it_is_asked_for_again_and_counts_on() -> None:
    talk = going(Tickwire(), "GOLD")
    talk.conversation.remove(trades=["GOLD"])
    talk.conversation.add(trades=["GOLD"])
    assert talk.push_one_behind() == [[Pushed], [Pushed]]
    change = talk.request(talk.at + 1)
    assert change["data"] == {"add": [item("GOLD")]}
    assert talk.take(change, "ok", epoch=EPOCH, **{"from": EPOCH + 8}) == [Subscribed(Kind.TRADE, ("GOLD",))]
    talk.reopen()
    assert talk.request()["data"] == {"items": [item("GOLD", epoch=EPOCH, seq=EPOCH + 7)]}


def test_what_is_taken_back_twice_before_the_server_heard_of_it_is_let_go_of() -> None:
    talk = going(Tickwire(), "GOLD", "EURUSD")
    for _ in range(2):
        talk.conversation.remove(trades=["GOLD"])
        assert talk.requests() == []  # so soon
        talk.conversation.add(trades=["GOLD"])
    talk.conversation.remove(trades=["GOLD"])
    assert talk.request(talk.at + 1)["data"] == {"remove": [item("GOLD")]}


def test_what_is_wanted_again_while_the_server_lets_go_of_it_counts_on() -> None:
    talk = going(Tickwire(), "GOLD")
    talk.conversation.remove(trades=["GOLD"])
    removal = talk.request(talk.at + 1)
    assert removal["data"] == {"remove": [item("GOLD")]}
    talk.conversation.add(trades=["GOLD"])
    assert talk.push_one_behind() == [[Pushed], [Pushed]]
    talk.take(removal)
    assert talk.request(talk.at + 2)["data"] == {"add": [item("GOLD")]}


# Patterns.
def test_what_a_pattern_brought_is_resumed_by_name_before_the_pattern() -> None:
    talk = Tickwire()
    talk.conversation.add(trades=["*"])
    talk.take(talk.request(), epoch=EPOCH)
    assert [type(one) for one in talk.push(5)] == [Pushed]
    assert talk.conversation.wanted(Kind.TRADE) == ("*",)
    talk.reopen()
    resume = talk.request()
    assert resume["data"]["items"] == [item("GOLD", epoch=EPOCH, seq=EPOCH + 5)]
    talk.take(resume, "resumed", epoch=EPOCH, **{"from": EPOCH + 6})
    change = talk.request()
    assert change["data"] == {"add": [item("*")]}
    talk.take(change, epoch=EPOCH)
    assert [type(one) for one in talk.push(0, "NEW")] == [Pushed]  # its first one
    late, _ = talk.push(3, "LATE")
    assert late == Resumed(Kind.TRADE, (), (("LATE", None),))
    talk.conversation.remove(trades=["*"])
    removed = talk.request(talk.at + 1)["data"]
    assert removed == {"remove": [item("GOLD"), item("*")]}
    assert talk.push(9) == []


def test_elsewhere_a_pattern_is_refused() -> None:
    talk = Talk()
    talk.conversation.add(trades=["GOLD", "*.HK"])
    assert talk.codes() == (TRADES, ["GOLD"])
    (refusal,) = talk.told
    assert isinstance(refusal, Refusal)
    assert (refusal.keys, refusal.ret, refusal.again) == (("*.HK",), 400, None)
    assert talk.requests(talk.at + 1) == []
