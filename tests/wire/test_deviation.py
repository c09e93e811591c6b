"""What a client did that the documents do not allow, as the session notes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.access import new_secret
from tickwire.wire import Deviation, Report
from tickwire.wire.deviation import MOST_DETAILS, shown
from tickwire.wire.reader import HEADER_FIELDS, Reader
from tickwire.wire.session import Dialect

from .peer import session_of

BOTH = pytest.mark.parametrize(
    "dialect", [Dialect(), Dialect(strict_protocol=True)], ids=["lenient", "strict"]
)
DOCUMENTED: dict[str, Any] = {"cmd_id": 22000, "seq_id": 7, "trace": "abc", "data": {}}


def noted(message: object, dialect: Dialect = Dialect()) -> dict[str, int]:  # noqa: B008
    """What a session of its own notes of a message."""
    one = session_of(dialect=dialect)
    one.receive(message if isinstance(message, bytes) else json.dumps(message).encode(), 0.0)
    return one.report.counts()


@BOTH
@pytest.mark.parametrize(
    "message",
    [
        DOCUMENTED,
        DOCUMENTED | {"cmd_id": 22004, "data": {"symbol_list": [{"code": "GOLD"}]}},
        DOCUMENTED | {"cmd_id": 22002, "data": {"symbol_list": [{"code": "BTCUSDT", "depth_level": 5}]}},
        DOCUMENTED | {"cmd_id": 22002, "data": {"symbol_list": [{"code": "BTCUSDT", "depth_level": None}]}},
        DOCUMENTED | {"cmd_id": 22006, "data": {"cancel_type": 0}},
    ],
)
def test_of_what_is_documented_nothing_is_noted(message: object, dialect: Dialect) -> None:
    assert noted(message, dialect) == {}


@given(
    st.dictionaries(
        st.sampled_from(["cmd_id", "seq_id", "trace", "data", "x"]),
        st.none() | st.booleans() | st.integers(-1, 2**64) | st.floats() | st.text(max_size=70) | st.just({}),
    )
)
def test_what_is_read_at_once_is_read_as_it_would_be_otherwise(envelope: dict[str, Any]) -> None:
    text, strict, lenient = json.dumps(envelope).encode(), Report(), Report()
    found = Reader(strict=True).request(text, strict)
    if found.refusal is None:
        assert strict == {}
        assert Reader().request(text, lenient) == found
        assert lenient == {}
        assert Reader()._request(json.loads(text), HEADER_FIELDS, Report()) == found
    else:
        assert strict != {}


def test_a_report_is_bounded() -> None:
    report = Report()
    for number in range(1000):
        report.note(Deviation.UNKNOWN_CODE, f"CODE{number}")
        report.note(Deviation.UNKNOWN_COMMAND, str(number))
    assert sum(report.values()) == 2000
    assert len(report) == 2 * (MOST_DETAILS + 1)
    assert report[Deviation.UNKNOWN_CODE, ""] == 1000 - MOST_DETAILS
    other = Report()
    for _ in range(3):
        other.add(report)
    assert sum(other.values()) == 6000
    assert len(other) == 2 * (MOST_DETAILS + 1)


@given(st.text())
def test_what_a_client_wrote_is_shown_if_it_can_be_a_name(text: str) -> None:
    assert shown(text) == "?" or (text.isascii() and text.isprintable() and len(text) <= 20)


@pytest.mark.parametrize("text", ["GOLD", "700.HK", ".DJI.US", "query_kline_num"])
def test_codes_and_fields_are_shown(text: str) -> None:
    assert shown(text) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(new_secret(), id="a secret"),
        "0123456789abcdef0123456789abcdef-c-app",
        "a\n",
        "\x1b[2J",
        "",
    ],
)
def test_what_may_be_a_secret_or_is_not_printable_is_not_shown(text: str) -> None:
    assert shown(text) == "?"


def test_a_message_of_many_fields_and_codes_is_bounded() -> None:
    many: dict[str, Any] = {f"field{number}": 1 for number in range(10_000)}
    counts = noted(
        DOCUMENTED
        | {"cmd_id": 22004, "data": {"symbol_list": [{"code": str(n)} for n in range(10_000)]}}
        | many
    )
    assert len(counts) <= 3 * (MOST_DETAILS + 1)
    assert sum(count for name, count in counts.items() if name.startswith("unknown_code")) == 10_000
