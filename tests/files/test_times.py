"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tickwire.files import Stamp, Times

NEW_YORK = ZoneInfo("America/New_York")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1788255000", 1788255000000),
        ("1788255000.25", 1788255000250),
        ("1788255000123", 1788255000123),
        ("1788255000123456", 1788255000123),
        ("1788255000123456789", 1788255000123),
        ("2024-01-02T09:30Z", ms("2024-01-02T09:30Z")),
        ("2024-01-02 09:30:00-05:00", ms("2024-01-02T14:30Z")),
        ("2024-01-02T09:30:00.125+01:00", ms("2024-01-02T08:30:00.125Z")),
    ],
)
def test_what_says_its_moment(text: str, expected: int) -> None:
    assert Times("time", NEW_YORK).read(text) == Stamp(expected, naive=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02 09:30", ms("2024-01-02T14:30Z")),
        ("2024.07.02 09:30:05", ms("2024-07-02T13:30:05Z")),
        ("2024/1/2", ms("2024-01-02T05:00Z")),
        ("20240102", ms("2024-01-02T05:00Z")),
    ],
)
def test_what_is_of_a_zone(text: str, expected: int) -> None:
    assert Times("time", NEW_YORK).read(text) == Stamp(expected, naive=True)


def test_what_is_written_in_a_form_of_its_own() -> None:
    assert Times("time", UTC, "%d/%m/%Y").read("02/01/2024") == Stamp(ms("2024-01-02T00:00Z"), naive=True)
    with pytest.raises(ValueError, match="time is '2024', expected the form '%d/%m/%Y'"):
        Times("time", UTC, "%d/%m/%Y").read("2024")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("time", "178825500", "time is 178825500, which is not between 1990 and 2100"),
        ("tick_time_ms", "1788255000", "in milliseconds: it looks like seconds"),
        ("timestamp_s", "1788255000123", "in seconds: it looks like milliseconds"),
        ("date", "1979-01-02", "'1979-01-02', which is not between 1990 and 2100"),
        ("date", "02.01.2024", "expected a time such as"),
        ("date", "2024-13-02", "expected a time such as"),
    ],
)
def test_what_is_no_time_is_named(name: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Times(name).read(text)
