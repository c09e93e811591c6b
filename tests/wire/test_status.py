"""The status of sources on the wire: docs/protocol.md, "Status of sources"."""

from __future__ import annotations

import json

import pytest

from tickwire.wire import Bad, SourceStatus, StatusData
from tickwire.wire.messages import STATUS_PUSH
from tickwire.wire.session import Dialect, ForgetStatus, WatchStatus
from tickwire.wire.status import status_frame
from tickwire.wire.upstream import read

from .peer import PLAIN, session_of

WATCH, FORGET = 28008, 28010
DATA = StatusData(source="alltick", status="down", since=1795364866865, reason="é: refused", simulated=0)


def answer(cmd_id: int, data: object, dialect: Dialect = PLAIN) -> tuple[object, ...]:
    session = session_of(dialect=dialect)
    request = {"cmd_id": cmd_id, "seq_id": 7, "trace": "abc", "data": data}
    found = session.receive(json.dumps(request).encode(), 1.0)
    reply = json.loads(found.reply)
    assert (reply["seq_id"], reply["trace"], reply["data"]) == (7, "abc", {})
    return reply["cmd_id"], reply["ret"], found.decision


@pytest.mark.parametrize("dialect", [PLAIN, Dialect(strict_protocol=True)], ids=["lenient", "strict"])
def test_to_watch_and_to_forget(dialect: Dialect) -> None:
    assert answer(WATCH, {}, dialect) == (28009, 200, WatchStatus())
    assert answer(FORGET, {}, dialect) == (28011, 200, ForgetStatus())


@pytest.mark.parametrize("cmd_id", [WATCH, FORGET])
def test_their_data_is_as_that_of_the_other_extension(cmd_id: int) -> None:
    strict = Dialect(strict_protocol=True)
    tolerated: list[object] = [{}, None, [], {"other": 1}]
    for data in tolerated:
        assert answer(cmd_id, data)[1] == 200
        assert answer(cmd_id, data, strict)[1] == (200 if data == {} else 400)
        assert answer(28006, data, strict)[1] == answer(cmd_id, data, strict)[1]
    for impossible in (5, "x", [1], True):
        assert answer(cmd_id, impossible) == (cmd_id + 1, 400, None)


def test_the_push_is_one_frame() -> None:
    frame = status_frame(DATA)
    text = frame[4:] if frame[1] == 126 else frame[2:]
    assert frame[0] == 0x81
    assert len(text) == (int.from_bytes(frame[2:4], "big") if frame[1] == 126 else frame[1])
    assert text.decode() == (
        '{"cmd_id":28997,"data":{"source":"alltick","status":"down","since":1795364866865,'
        '"reason":"é: refused","simulated":0}}'
    )


def test_a_long_reason_still_makes_one_frame() -> None:
    frame = status_frame(StatusData("alltick", "down", 1, "x" * 70_000, 1))
    assert (frame[1], int.from_bytes(frame[2:10], "big")) == (127, len(frame) - 10)
    assert json.loads(frame[10:])["cmd_id"] == STATUS_PUSH


def test_a_client_reads_it() -> None:
    frame = status_frame(DATA)
    (told,) = read(frame[4:] if frame[1] == 126 else frame[2:])
    assert told == SourceStatus("alltick", "down", 1795364866865, "é: refused")
    assert isinstance(told, SourceStatus)
    assert told.time.isoformat() == "2026-11-22T16:27:46.865000+00:00"


@pytest.mark.parametrize(
    "data",
    [
        {"source": "x", "status": "up"},
        {"source": "x", "status": "up", "since": 5},
        {"source": 5, "status": "up", "since": 1795364866865},
        {"source": "x", "status": "u" * 41, "since": 1795364866865},
        {"source": "x" * 1001, "status": "up", "since": 1795364866865},
        {"source": "x", "status": "up", "since": 1795364866865, "reason": "x" * 10_001},
        [],
        None,
    ],
)
def test_what_is_none_is_unreadable(data: object) -> None:
    (bad,) = read(json.dumps({"cmd_id": STATUS_PUSH, "data": data}).encode())
    assert isinstance(bad, Bad)
