"""The client's side of a connection, on a clock that the test moves, without sockets."""

from __future__ import annotations

import json
from math import inf
from typing import Any

import pytest

from tickwire.model import Kind
from tickwire.wire import Bad, Conversation, Happening, Pace, Pushed, SourceStatus, Subscribed, Terms

from .test_upstream import BOOK, KLINE, TRADE, changed, text

HEARTBEAT, DEPTH, TRADES, CANCEL, KLINES, KLINE_CANCEL = 22000, 22002, 22004, 22006, 28004, 28006
QUIET = Terms(spacing=1.0, heartbeat=inf)
ALIVE = Terms(spacing=1.0, heartbeat=10.0, mute=10.0)


class Talk:
    """A conversation, and what a server would see of it."""

    def __init__(self, terms: Terms = QUIET, pace: Pace | None = None, at: float = 100.0) -> None:
        self.conversation = Conversation(terms, pace)
        self.at = at
        self.told: list[Happening] = []
        self.conversation.opened(at)

    def requests(self, at: float | None = None) -> list[dict[str, Any]]:
        """What it sends at that time; what it tells is kept."""
        self.at = self.at if at is None else at
        out = self.conversation.poll(self.at)
        self.told += [one for one in out if not isinstance(one, bytes)]
        return [json.loads(one) for one in out if isinstance(one, bytes)]

    def request(self, at: float | None = None) -> dict[str, Any]:
        (only,) = self.requests(at)
        return only

    def codes(self, at: float | None = None) -> tuple[int, list[str]]:
        """The command and the codes of the one subscription that it sends."""
        request = self.request(at)
        return request["cmd_id"], [one["code"] for one in request["data"].get("symbol_list", [])]

    def answer(self, request: dict[str, Any], ret: int = 200, msg: str = "ok") -> list[Happening]:
        answer = {"ret": ret, "msg": msg, "cmd_id": request["cmd_id"] + 1, "seq_id": request["seq_id"]}
        return self.conversation.receive(text(answer), self.at)

    def subscribe(self, *codes: str) -> None:
        """Trades that are wanted and in effect."""
        self.conversation.add(trades=codes)
        self.answer(self.request())

    def seqs(self, *seqs: int) -> list[int]:
        """Those that pass of trades of GOLD with these numbers."""
        found = [self.conversation.receive(text(changed(TRADE, seq=seq)), self.at) for seq in seqs]
        return [one.seq for each in found for one in each if isinstance(one, Pushed)]


# What is asked for.
def test_what_is_wanted_is_asked_for_in_the_documented_form() -> None:
    talk = Talk()
    talk.conversation.add(trades=["GOLD", "BTCUSDT"], books={"BTCUSDT": 5, "GOLD": 0}, klines=[("GOLD", 1)])
    trades, books, klines = talk.requests()
    assert trades == {
        "cmd_id": TRADES,
        "seq_id": 1,
        "trace": "1",
        "data": {"symbol_list": [{"code": "GOLD"}, {"code": "BTCUSDT"}]},
    }
    assert (books["cmd_id"], books["data"]["symbol_list"]) == (
        DEPTH,
        [{"code": "BTCUSDT", "depth_level": 5}, {"code": "GOLD"}],
    )
    assert (klines["cmd_id"], klines["data"]["symbol_list"]) == (
        KLINES,
        [{"code": "GOLD", "kline_type": 1}],
    )
    assert len({trades["seq_id"], books["seq_id"], klines["seq_id"]}) == 3


def test_changes_are_sent_as_one_list_and_no_faster_than_the_plan_allows() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"])
    assert talk.answer(talk.request()) == [Subscribed(Kind.TRADE, ("A",))]
    talk.conversation.add(trades=["B"])
    talk.conversation.add(trades=["C", "B"])
    talk.conversation.remove(trades=["A"])
    assert talk.requests(100.5) == []
    assert talk.conversation.due(100.5) == 101.0
    assert talk.codes(101.0) == (TRADES, ["B", "C"])


def test_nothing_is_sent_while_an_answer_is_owed() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"])
    first = talk.request()
    talk.conversation.add(trades=["B"])
    assert talk.requests(105.0) == []
    talk.answer(first)
    assert talk.codes() == (TRADES, ["A", "B"])


def test_what_is_wanted_again_before_the_server_heard_of_it_is_answered() -> None:
    talk = Talk()
    talk.subscribe("A", "B")
    talk.conversation.remove(trades=["A"])
    talk.conversation.add(trades=["A"])
    request = talk.request(talk.at + 1)
    assert [one["code"] for one in request["data"]["symbol_list"]] == ["B", "A"]
    assert talk.answer(request) == [Subscribed(Kind.TRADE, ("B", "A"))]
    assert talk.requests(talk.at + 5) == []


def test_nothing_is_sent_for_what_was_taken_back() -> None:
    talk = Talk()
    talk.subscribe("A")
    talk.conversation.add(trades=["B"])
    talk.conversation.remove(trades=["B", "never wanted"])
    assert talk.requests(talk.at + 5) == []


def test_another_depth_is_asked_for() -> None:
    talk = Talk()
    talk.conversation.add(books={"A": 1})
    talk.answer(talk.request())
    talk.conversation.add(books={"A": 5})
    assert talk.request(102.0)["data"]["symbol_list"] == [{"code": "A", "depth_level": 5}]


@pytest.mark.parametrize(
    ("wanted", "cmd_id", "data"),
    [
        ({"trades": ["A"]}, CANCEL, {"cancel_type": 2}),
        ({"books": {"A": 0}}, CANCEL, {"cancel_type": 1}),
        ({"klines": [("A", 1)]}, KLINE_CANCEL, {}),
    ],
)
def test_an_empty_list_is_a_cancel(wanted: dict[str, Any], cmd_id: int, data: object) -> None:
    talk = Talk()
    talk.conversation.add(**wanted)
    talk.answer(talk.request())
    talk.conversation.remove(**wanted)
    cancel = talk.request(102.0)
    assert (cancel["cmd_id"], cancel["data"]) == (cmd_id, data)
    (told,) = talk.answer(cancel)
    assert isinstance(told, Subscribed)
    assert told.keys == ()
    assert talk.requests(103.5) == []


def test_the_pace_is_shared_by_the_connections_of_a_token() -> None:
    pace = Pace(1.0)
    one, other = Talk(pace=pace), Talk(pace=pace)
    one.conversation.add(trades=["A"])
    other.conversation.add(trades=["B"], books={"B": 0})
    assert one.request()["cmd_id"] == TRADES
    assert other.request(100.5)["cmd_id"] == DEPTH
    assert other.codes(101.0) == (TRADES, ["B"])


def test_a_new_connection_is_asked_for_everything_as_soon_as_the_plan_allows() -> None:
    talk = Talk()
    talk.conversation.add(trades=["A"], books={"B": 3}, klines=[("C", 8)])
    for request in talk.requests():
        talk.answer(request)
    talk.conversation.add(trades=["D"])
    talk.conversation.closed()
    assert talk.conversation.due(100.1) == inf
    assert talk.requests(100.1) == []
    talk.conversation.opened(100.2)
    assert talk.requests(100.2) == []
    requests = talk.requests(101.0)
    assert [len(one["data"]["symbol_list"]) for one in requests] == [2, 1, 1]


# Life.
def test_a_heartbeat_is_sent_every_ten_seconds_and_measured() -> None:
    talk = Talk(ALIVE)
    for at in (110.0, 120.0, 130.0):
        assert talk.conversation.due(talk.at) == at
        heartbeat = talk.request(at)
        assert (heartbeat["cmd_id"], heartbeat["data"]) == (HEARTBEAT, {})
        talk.at += 0.25
        assert talk.answer(heartbeat) == []
        assert talk.conversation.round_trip == 0.25


def test_a_connection_without_an_answer_is_late_and_then_mute() -> None:
    talk = Talk(ALIVE)
    talk.request(110.0)
    health = [(at, talk.conversation.late(at), talk.conversation.mute(at)) for at in (114.9, 115, 119.9, 120)]
    assert health == [(114.9, False, False), (115, True, False), (119.9, True, False), (120, True, True)]
    assert (talk.conversation.due(110.0), talk.conversation.due(115.0)) == (115.0, 120.0)


def test_a_subscription_without_an_answer_is_mute_too() -> None:
    talk = Talk(ALIVE)
    talk.conversation.add(trades=["A"])
    talk.request()
    assert talk.conversation.mute(110.0)


@pytest.mark.parametrize("message", [TRADE, {"ret": 500, "cmd_id": 22001}])
def test_whatever_can_be_read_is_a_sign_of_life(message: object) -> None:
    talk = Talk(ALIVE)
    talk.request(110.0)
    talk.conversation.receive(text(message), 119.0)
    assert not talk.conversation.mute(1e9)


def test_garbage_is_none() -> None:
    talk = Talk(ALIVE)
    talk.request(110.0)
    (told,) = talk.conversation.receive(b"garbage", 119.0)
    assert isinstance(told, Bad)
    assert talk.conversation.mute(120.0)


def test_mere_quiet_is_no_silence() -> None:
    talk = Talk(ALIVE)
    talk.answer(talk.request(110.0))
    assert not talk.conversation.late(119.9)
    assert not talk.conversation.mute(119.9)


def test_who_could_not_listen_does_not_blame_the_server() -> None:
    talk = Talk(ALIVE)
    talk.conversation.add(trades=["A"])
    talk.request()
    talk.conversation.excuse(200.0)
    assert not talk.conversation.late(200.0)
    assert talk.conversation.mute(210.0)
    assert [one["cmd_id"] for one in talk.requests(200.0)] == [HEARTBEAT]
    assert talk.told == []


# Sources.
def test_how_sources_are_is_asked_once_a_connection_and_told_while_it_is_wanted() -> None:
    talk, push = (
        Talk(),
        {"source": "x", "status": "ended", "since": 1795364866865, "reason": "", "simulated": 1},
    )
    ended = SourceStatus("x", "ended", 1795364866865, simulated=True)
    frame = text({"cmd_id": 28997, "data": push})
    assert talk.conversation.receive(frame, 100.0) == []
    talk.conversation.sources = True
    assert talk.conversation.due(100.0) == 100.0
    request = talk.request()
    assert (request["cmd_id"], request["data"]) == (28008, {})
    assert talk.answer(request) == []
    assert talk.conversation.receive(frame, 100.0) == [ended]
    assert talk.requests() == []
    talk.conversation.opened(101.0)
    assert talk.request(101.0)["cmd_id"] == 28008
    talk.conversation.sources = False
    request = talk.request(102.0)
    assert request["cmd_id"] == 28010
    assert talk.conversation.receive(frame, 102.0) == []
    assert talk.answer(request, 400, "no such") == []
    assert talk.requests(103.0) == []


def test_a_server_that_does_not_say_how_its_sources_are_is_told() -> None:
    talk = Talk()
    talk.conversation.sources = True
    (told,) = talk.answer(talk.request(), 400, "cmd_id invalid")
    assert told == SourceStatus("", "unknown", 0, "refused: 400 cmd_id invalid")
    assert talk.requests(200.0) == []


# Events.
def test_only_what_is_wanted_is_told() -> None:
    talk = Talk()
    frame = text(TRADE, BOOK, KLINE)
    assert talk.conversation.receive(frame, 100.0) == []
    assert talk.conversation.unasked == 3
    talk.conversation.add(trades=["GOLD"], books={"TSLA.US": 0}, klines=[("BTCUSDT", 1)])
    assert len(talk.conversation.receive(frame, 100.0)) == 3
    talk.conversation.remove(trades=["GOLD"], books=["TSLA.US"], klines=[("BTCUSDT", 2)])
    later = text(*(changed(one, seq=2**60) for one in (TRADE, BOOK, KLINE)))
    (bar,) = talk.conversation.receive(later, 100.0)
    assert isinstance(bar, Pushed)
    assert bar.event.code == "BTCUSDT"
    assert talk.conversation.wanted(Kind.KLINE) == (("BTCUSDT", 1),)
    assert talk.conversation.wanted(Kind.TRADE) == ()


def test_an_event_that_comes_twice_is_told_once_also_after_a_reconnect() -> None:
    talk = Talk()
    talk.conversation.add(trades=["GOLD"])
    assert talk.seqs(5, 5, 6, 6, 8, 7, 7, 8) == [5, 6, 8, 7]
    assert talk.conversation.duplicates == 4
    talk.conversation.opened(101.0)
    assert talk.seqs(8, 9, 9) == [9]


def test_bad_lines_are_counted() -> None:
    talk = Talk()
    talk.conversation.add(trades=["GOLD"])
    told = talk.conversation.receive(text(b"x", TRADE, b"y"), 100.0)
    assert [type(one) for one in told] == [Pushed, Bad]
    assert talk.conversation.bad_lines == 2
