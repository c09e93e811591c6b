"""A session and what its token allows: what is said first, and what it counts for (section 2)."""

from __future__ import annotations

import pytest

from tickwire.model import Family, Instrument, Kind
from tickwire.wire import (
    CODE_INVALID,
    CODE_UNAUTHORIZED,
    Decision,
    Deviation,
    Refused,
    Ret,
    Sought,
    Want,
    ret_of,
)
from tickwire.wire.ret import LEVEL_TOO_LOW
from tickwire.wire.session import Close, Session, Subscribe

from .peer import session_of
from .test_session import (
    CANCEL,
    DATA,
    DEPTH,
    HEADER,
    HEARTBEAT,
    TRADE,
    ask,
    message,
    symbols,
    wanted,
)


class Narrow:
    """A permit: subscriptions as the test says, of them GOLD and Silver, and at most one."""

    def __init__(self) -> None:
        self.slow_enough = True
        self.answers: dict[int, Ret] = {}
        self.asked: list[tuple[int, float]] = []

    def answer(self, cmd_id: int) -> Ret | None:
        return self.answers.get(cmd_id)

    def objection(self, instrument: Instrument) -> Ret | None:
        return None

    def subscribe(self, cmd_id: int, now: float) -> bool:
        self.asked.append((cmd_id, now))
        return self.slow_enough

    def seek(self, family: Family, name: str) -> Ret | None:
        return CODE_INVALID

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        allowed = tuple(want for want in wants if want.name in ("GOLD", "Silver"))
        if not allowed:
            raise Refused(CODE_UNAUTHORIZED)
        if len(allowed) > 1:
            raise Refused(LEVEL_TOO_LOW)
        return allowed


def narrow() -> tuple[Session, Narrow]:
    permit = Narrow()
    return session_of(permit), permit


UNAUTHORIZED = (604, "code unauthorized", None)
TOO_FAST = (605, "too many requests", None)
TOO_FAST_CLOSED = (606, "too many requests and connection will be closed", Close(1008, "too many requests"))


def outcome(to: Session, request: object, now: float) -> tuple[int, str, Decision | None]:
    answer, decision = ask(to, request, now)
    return answer["ret"], answer["msg"], decision


@pytest.mark.parametrize("cmd_id", [DEPTH, TRADE])
def test_what_is_wrong_in_itself_is_said_first_then_the_pace_the_codes_and_the_token(cmd_id: int) -> None:
    one, permit = narrow()
    permit.slow_enough = False
    malformed_ones: list[dict[str, object]] = [{"symbol_list": []}, {}, {"symbol_list": [5]}]
    for malformed in malformed_ones:
        assert outcome(one, message(cmd_id, malformed), 1.0) == (400, DATA, None)
    assert outcome(one, message(cmd_id, symbols("GOLD"), trace=5), 1.0) == (400, HEADER, None)
    assert permit.asked == []  # what cannot be read does not count
    assert outcome(one, message(cmd_id, symbols("NOSUCH")), 1.0) == TOO_FAST
    permit.slow_enough = True
    assert outcome(one, message(cmd_id, symbols("NOSUCH", "700.HK")), 2.0) == (600, "code invalid", None)
    assert outcome(one, message(cmd_id, symbols("EURUSD", "NOSUCH")), 3.0) == UNAUTHORIZED
    assert outcome(one, message(cmd_id, symbols("GOLD", "Silver")), 4.0) == (
        603,
        "token level not enough",
        None,
    )
    answer, decision = ask(one, message(cmd_id, symbols("EURUSD", "GOLD")), 5.0)
    assert (answer["ret"], [code for code, _, _ in wanted(decision)]) == (200, ["GOLD"])
    assert permit.asked == [(cmd_id, float(at)) for at in (1, 2, 3, 4, 5)]


def test_the_third_605_within_10_s_is_606_and_closes() -> None:
    one, permit = narrow()
    permit.slow_enough = False
    trades, books = message(TRADE, symbols("GOLD")), message(DEPTH, symbols("GOLD"))
    assert [outcome(one, trades, 100.0), outcome(one, books, 105.0)] == [TOO_FAST] * 2
    assert outcome(one, books, 109.999) == TOO_FAST_CLOSED


def test_the_third_605_after_10_s_is_one_and_those_before_are_forgotten() -> None:
    one, permit = narrow()
    permit.slow_enough = False
    request = message(TRADE, symbols("GOLD"))
    times = (100.0, 105.0, 110.0, 115.0, 120.0, 129.999)
    assert [outcome(one, request, at) for at in times[:4]] == [TOO_FAST] * 4
    permit.slow_enough = True
    assert ask(one, request, 116.0)[0]["ret"] == 200  # one that passes between them changes nothing
    permit.slow_enough = False
    assert outcome(one, request, 119.999) == TOO_FAST_CLOSED


@pytest.mark.parametrize("ret", [600, 603, 604, 605])
def test_a_refusal_by_the_token_counts_as_a_heartbeat(ret: int) -> None:
    one, permit = narrow()
    permit.slow_enough = ret != 605
    codes = {600: ["NOSUCH"], 603: ["GOLD", "Silver"], 604: ["EURUSD"], 605: ["GOLD"]}[ret]
    assert outcome(one, message(TRADE, symbols(*codes)), 25.0)[0] == ret
    assert not one.overdue(54.999)
    assert one.overdue(55.0)


def test_heartbeats_and_cancels_ask_for_no_permit() -> None:
    one, permit = narrow()
    permit.slow_enough = False
    for _ in range(5):
        assert ask(one, message(HEARTBEAT, {}))[0]["ret"] == 200
        assert ask(one, message(CANCEL, {"cancel_type": 0}))[0]["ret"] == 200
    assert permit.asked == []


def test_the_answer_of_a_permit_goes_before_all_but_what_cannot_be_read() -> None:
    one, permit = narrow()
    permit.answers = {TRADE: ret_of(604), HEARTBEAT: ret_of(777, "as told")}
    assert outcome(one, message(TRADE, symbols("GOLD")), 1.0) == UNAUTHORIZED
    assert outcome(one, message(HEARTBEAT, {}), 1.0) == (777, "as told", None)
    assert outcome(one, message(TRADE, {}, trace=5), 1.0) == (400, HEADER, None)
    assert permit.asked == []
    assert ask(one, message(DEPTH, symbols("GOLD")))[0]["ret"] == 200


class Seeking(Narrow):
    """A permit that has codes looked for which begin with GBP."""

    def __init__(self) -> None:
        super().__init__()
        self.why_not = CODE_INVALID

    def seek(self, family: Family, name: str) -> Ret | None:
        return None if family is Family.OTHER and name.startswith("GBP") else self.why_not

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        return wants


def test_a_code_that_is_looked_for_is_acknowledged() -> None:
    permit = Seeking()
    session = session_of(permit)
    request = {"symbol_list": [{"code": "GOLD"}, {"code": "GBPMXN", "depth_level": 3}, {"code": "NOSUCH"}]}
    answer, decision = ask(session, message(DEPTH, request))
    assert answer["ret"] == 200
    assert session.report == {(Deviation.UNKNOWN_CODE, "NOSUCH"): 1}
    assert isinstance(decision, Subscribe)
    assert wanted(decision) == [("GOLD", "GOLD", 1)]
    assert decision.sought == (Sought("GBPMXN", 3, 0),)
    answer, decision = ask(session, message(TRADE, symbols("GBPMXN", "GBPMXN")))
    assert answer["ret"] == 200
    assert decision == Subscribe(Kind.TRADE, (), (Sought("GBPMXN"),))
    assert session.report[Deviation.DUPLICATE_CODE, "GBPMXN"] == 1


def test_a_code_that_cannot_be_looked_for_now_is_no_unknown_one() -> None:
    permit = Seeking()
    session = session_of(permit)
    assert ask(session, message(TRADE, symbols("NOSUCH")))[0]["ret"] == 600
    permit.why_not = ret_of(605)
    assert ask(session, message(TRADE, symbols("NOSUCH")))[0]["ret"] == 605
    assert ask(session, message(TRADE, symbols("NOSUCH", "GOLD")))[0]["ret"] == 200
    assert session.report == {(Deviation.UNKNOWN_CODE, "NOSUCH"): 1}
