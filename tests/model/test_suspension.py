"""Suspensions: what may stand in one, and how a mistake is told."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tickwire.errors import InputError
from tickwire.model import Suspension, SuspensionList


def a_suspension(**fields: Any) -> Suspension:
    return Suspension(
        **{"exchange": SuspensionList.NYSE, "symbol": "CLGN", "publish_date": "2026-09-03"} | fields
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"symbol": "111008", "halt_date": "-", "symbol_name": "沿浦转债", "halt_period": "连续停牌"},
        {"symbol": "BRK.A"},
        {"symbol": "GNL PR A"},
        {"symbol": "X" * 32},
        {"publish_date": "2024-02-29 23:59:59", "halt_time": "00:00:00", "resume_time": "-"},
        {"halt_date": "", "halt_time": "", "resume_date": "", "resume_time": "", "symbol_name": ""},
        {"halt_reason": ("T1 Halt", ""), "pause_threshold_price": ""},
    ],
)
def test_what_may_be(fields: dict[str, Any]) -> None:
    a_suspension(**fields).check()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"symbol": ""}, ["symbol is ''", "1 to 32"]),
        ({"symbol": "X" * 33}, ["symbol is 'XXX", "1 to 32"]),
        ({"symbol": " AAPL"}, ["symbol is ' AAPL'", "visible"]),
        ({"symbol": "浦发"}, ["symbol is '浦发'", "ASCII"]),
        ({"symbol": "AAPL.US"}, ["symbol is 'AAPL.US'", "'AAPL'"]),
        ({"symbol": "600000.SH"}, ["symbol is '600000.SH'", "'600000'"]),
        ({"publish_date": ""}, ["publishDate is ''", "YYYY-MM-DD HH:MM:SS"]),
        ({"publish_date": "-"}, ["publishDate is '-'"]),
        ({"publish_date": "2026-09-03 "}, ["publishDate is '2026-09-03 '"]),
        ({"publish_date": "2026-09-03T19:50:00"}, ["publishDate is '2026-09-03T19:50:00'"]),
        ({"publish_date": "20260903"}, ["publishDate is '20260903'"]),
        ({"halt_date": "2025-02-29"}, ["haltDate is '2025-02-29'", "YYYY-MM-DD"]),
        ({"halt_date": "2026-W36-5"}, ["haltDate is"]),
        ({"halt_date": "２０２６-09-03"}, ["haltDate is"]),
        ({"resume_date": "03/09/2026"}, ["resumeDate is '03/09/2026'"]),
        ({"halt_time": "24:00:00"}, ["haltTime is '24:00:00'", "HH:MM:SS"]),
        ({"halt_time": "9:30:00"}, ["haltTime is '9:30:00'"]),
        ({"resume_time": "09:30"}, ["resumeTime is '09:30'"]),
        ({"symbol_name": "two\nlines"}, ["symbolName is 'two\\nlines'", "one line"]),
        ({"halt_period": "\x1b[2J"}, ["haltPeriod is '\\x1b[2J'"]),
        ({"source_exchange": "\udcff"}, ["sourceExchange is '\\udcff'"]),
        ({"pause_threshold_price": "1\t"}, ["pauseThresholdPrice is '1\\t'"]),
        ({"halt_reason": ("fine", "\0")}, ["haltReason is '\\x00'"]),
    ],
)
def test_what_may_not_be(fields: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as told:
        a_suspension(**fields).check()
    for word in words:
        assert word in str(told.value)
    str(told.value).encode()  # can be printed, whatever was wrong


def test_a_long_mistake_is_told_in_short() -> None:
    with pytest.raises(InputError) as told:
        a_suspension(symbol_name="\n" * 10_000).check()
    assert len(str(told.value)) < 300


@pytest.mark.parametrize(
    ("day", "time", "both"),
    [
        ("2026-09-03", "19:50:00", "2026-09-03 19:50:00"),
        ("2026-09-03", None, None),
        ("2026-09-03", "-", None),
        (None, "19:50:00", None),
        ("", "19:50:00", None),
        ("-", "-", None),
        (None, None, None),
    ],
)
def test_date_and_time_together(day: str | None, time: str | None, both: str | None) -> None:
    assert a_suspension(halt_date=day, halt_time=time).halt_date_time == both
    assert a_suspension(resume_date=day, resume_time=time).resume_date_time == both


def test_the_time_zones_are_there() -> None:
    zones = {one.value: ZoneInfo(one.time_zone).key for one in SuspensionList}
    assert zones == {"sse": "Asia/Shanghai", "nyse": "America/New_York", "nasdaq": "America/New_York"}


def test_it_is_written_with_the_names_of_the_api() -> None:
    assert msgspec.to_builtins(a_suspension(halt_reason=("a", "b"))) == {
        "exchange": "nyse",
        "symbol": "CLGN",
        "symbolName": None,
        "haltReason": ("a", "b"),
        "haltDate": None,
        "haltTime": None,
        "haltPeriod": None,
        "resumeDate": None,
        "resumeTime": None,
        "sourceExchange": None,
        "pauseThresholdPrice": None,
        "publishDate": "2026-09-03",
    }
