"""What clients say of what they are to be spared, and what they are told of it."""

from __future__ import annotations

import json

import pytest
from msgspec import UNSET, UnsetType

from tickwire.model import Kind, Slow
from tickwire.wire import Bad, Refused, Spared
from tickwire.wire.flags import Flags, flags_of
from tickwire.wire.session import Session
from tickwire.wire.spared import spared_frame
from tickwire.wire.upstream import read

from .peer import session_of


def ask(session: Session, **request: object) -> int:
    found = json.loads(session.receive(json.dumps(request).encode(), 1.0).reply)
    ret: int = found["ret"]
    return ret


@pytest.mark.parametrize(
    ("query", "slow"),
    [
        ("", UNSET),
        ("token=t", UNSET),
        ("slow=close", Slow.CLOSE),
        ("token=t&slow=drop&slow=nonsense", Slow.DROP),
        ("a=b&slow=conflat%65&", Slow.CONFLATE),
        ("Slow=x&slower=x&xslow=x", UNSET),
    ],
)
def test_the_first_flag_of_a_name_counts(query: str, slow: Slow | UnsetType) -> None:
    assert flags_of(query) == Flags(slow)


@pytest.mark.parametrize(
    "query", ["slow=", "slow", "slow=Close", "slow=closed", "slow=%ff", "slow=x&slow=close"]
)
def test_other_values_are_refused(query: str) -> None:
    with pytest.raises(Refused) as refused:
        flags_of(query)
    assert refused.value.ret == (400, "slow is none of close, conflate, drop", 400)


def test_who_sends_a_request_of_ours_knows_of_the_extensions() -> None:
    session = session_of()
    known = []
    for number, ret in ((22000, 200), (28999, 400), (28008, 200), (22000, 200)):
        assert ask(session, cmd_id=number) == ret
        known.append(session.extended)
    assert known == [False, False, True, True]


def test_a_notice_is_read_as_it_was_written() -> None:
    codes = [f"C{number}" for number in range(25)]
    frame = spared_frame(Kind.DEPTH, 7, codes, 1795364866865)
    told = read(frame[4:])
    assert told == [Spared(Kind.DEPTH, 7, tuple(codes[:20]), 1795364866865)]
    assert isinstance(told[0], Spared)
    assert told[0].since.isoformat() == "2026-11-22T16:27:46.865000+00:00"


@pytest.mark.parametrize(
    "change", [{"kind": "x"}, {"dropped": -1}, {"dropped": None}, {"codes": [1]}, {"since": 5}]
)
def test_a_notice_that_cannot_be_is_bad(change: dict[str, object]) -> None:
    data = {"kind": "trade", "dropped": 1, "codes": ["A"], "since": 1795364866865} | change
    (told,) = read(json.dumps({"cmd_id": 28995, "data": data}).encode())
    assert isinstance(told, Bad)
