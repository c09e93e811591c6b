"""Plans: the vendor's as section 4 has them, and those that settings define."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickwire.access import BUILT_IN, UNLIMITED, Plan, Rate, read_plan
from tickwire.config import load
from tickwire.errors import SettingsError

VENDOR = {"subscriptions": Rate(1, 1), "suspension": Rate(1, 60)}
TABLE: dict[str, dict[str, object]] = {
    "free": {
        "connections": 1,
        "codes": 5,
        "http_codes": 5,
        "batch_groups": 5,
        "endpoint": Rate(1, 10),
        "batch_kline": Rate(1, 10),
        "http": Rate(10, 60),
        "per_day": 1_000,
    },
    "basic": {
        "connections": 1,
        "codes": 100,
        "batch_groups": 100,
        "endpoint": Rate(1, 1),
        "batch_kline": Rate(1, 3),
        "http": Rate(60, 60),
        "per_day": 86_400,
    },
    "premium": {
        "connections": 3,
        "codes": 200,
        "batch_groups": 200,
        "endpoint": Rate(10, 1),
        "batch_kline": Rate(1, 2),
        "http": Rate(600, 60),
        "per_day": 864_000,
    },
    "professional": {
        "connections": 10,
        "codes": 3_000,
        "batch_groups": 500,
        "endpoint": Rate(20, 1),
        "batch_kline": Rate(1, 1),
        "http": Rate(1_200, 60),
        "per_day": 1_728_000,
    },
}
"""Section 4, row by row; what is not named has no limit."""


def limits(plan: Plan) -> dict[str, object]:
    """What a plan limits."""
    fields = {name: getattr(plan, name) for name in Plan.__struct_fields__ if name != "name"}
    return {name: value for name, value in fields.items() if value not in (None, 0, False)}


def test_the_built_in_plans_are_those_of_section_4_and_one_without_limits() -> None:
    expected = {name: row | VENDOR for name, row in TABLE.items()} | {"unlimited": {}}
    assert {name: limits(plan) for name, plan in BUILT_IN.items()} == expected
    assert [plan.name for plan in BUILT_IN.values()] == [*BUILT_IN]


@pytest.mark.parametrize("plan", BUILT_IN)
def test_only_the_unlimited_plan_counts_no_requests(plan: str) -> None:
    assert BUILT_IN[plan].meters_http is (plan != "unlimited")


@pytest.mark.parametrize("limit", ["endpoint", "batch_kline", "suspension", "http"])
def test_one_limit_is_enough_to_count_requests(limit: str) -> None:
    assert read_plan("p", {limit: "5/min"}).meters_http
    assert read_plan("p", {"per_day": 5}).meters_http
    assert not read_plan("p", {"codes": 5, "connections": 5, "subscriptions": "1/s"}).meters_http


def test_each_endpoint_has_its_rate() -> None:
    plan = Plan(name="p", endpoint=Rate(1, 1), batch_kline=Rate(1, 2), suspension=Rate(1, 3))
    rates = {
        "trade-tick": 1,
        "depth-tick": 1,
        "kline": 1,
        "static_info": 1,
        "batch-kline": 2,
        "suspension/sse": 3,
        "suspension/nasdaq": 3,
    }
    assert {name: rate.seconds for name in rates if (rate := plan.rate_of(name))} == rates
    assert [UNLIMITED.rate_of(name) for name in rates] == [None] * len(rates)


# Rates.
@pytest.mark.parametrize(
    ("text", "requests", "seconds"),
    [
        ("1/10s", 1, 10),
        ("60/min", 60, 60),
        ("20/s", 20, 1),
        ("1 / 3 s", 1, 3),
        (" 5/h ", 5, 3600),
        ("10000/day", 10_000, 86_400),
        ("7/1440min", 7, 86_400),
        ("007/01s", 7, 1),
    ],
)
def test_a_rate_as_a_person_writes_it(text: str, requests: int, seconds: int) -> None:
    assert Rate.read(text) == (requests, seconds)


@pytest.mark.parametrize(
    "text",
    "|1|/s|1/|1/0s|0/s|10001/s|1/2day|1/25h|1/86401s|-1/s|1.5/s|1/s/s|1/w|1/S|1 per s|1/\n\ns".split("|"),
)
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate such as"):
        Rate.read(text)


@given(st.integers(1, 10_000), st.integers(1, 86_400))
def test_a_rate_is_read_as_it_is_shown(requests: int, seconds: int) -> None:
    rate = Rate(requests, seconds)
    assert Rate.read(str(rate)) == rate


@given(st.text(alphabet="0123456789/ smindayh.-", max_size=12))
@example("1/99999day")
def test_any_text_is_a_rate_within_bounds_or_none(text: str) -> None:
    try:
        rate = Rate.read(text)
    except ValueError:
        return
    assert 1 <= rate.requests <= 10_000
    assert 1 <= rate.seconds <= 86_400


# Plans of one's own.
def test_a_plan_has_no_limit_but_those_it_names() -> None:
    plan = read_plan("desk", {"connections": 3, "endpoint": "5/s", "refuse": True, "connection_spacing": 1.5})
    expected = {"connections": 3, "endpoint": Rate(5, 1), "refuse": True, "connection_spacing": 1.5}
    assert (plan.name, limits(plan)) == ("desk", expected)


def test_a_plan_is_as_its_base_but_for_what_it_names() -> None:
    plan = read_plan("desk", {"base": "free", "codes": "unlimited", "http": "unlimited", "per_day": 7})
    expected = TABLE["free"] | VENDOR | {"per_day": 7}
    del expected["codes"], expected["http"]
    assert (plan.name, limits(plan)) == ("desk", expected)
    assert limits(BUILT_IN["free"]) == TABLE["free"] | VENDOR, "the built-in one is as it was"


def test_every_limit_can_be_set() -> None:
    fields: dict[str, Any] = {
        "connections": 2,
        "connection_spacing": 3,
        "subscriptions": "2/s",
        "codes": 3,
        "http_codes": 4,
        "batch_groups": 5,
        "replays": 6,
        "refuse": True,
        "endpoint": "6/s",
        "batch_kline": "7/s",
        "suspension": "8/s",
        "http": "9/s",
        "per_day": 10**12,
    }
    plan = read_plan("p", fields)
    assert limits(plan) == {
        name: Rate.read(value) if isinstance(value, str) else value for name, value in fields.items()
    }
    assert {*fields, "name"} == {*Plan.__struct_fields__}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"base": "platinum"}, "base 'platinum' is none of free, basic, premium, professional, unlimited"),
    ({"base": ["free"]}, "base"),
    ({"base": {}}, "base"),
    ({"base": True}, "base"),
    ({"conections": 1}, "conections is unknown; the nearest known one is connections"),
    ({"name": "x"}, "name is unknown"),
    ({"connections": 0}, "connections is 0, expected a number from 1, or 'unlimited'"),
    ({"connections": -1}, "connections is -1"),
    ({"connections": True}, "connections is True"),
    ({"connections": 1.0}, "connections is 1.0"),
    ({"connections": "3"}, "connections is '3'"),
    ({"per_day": 10**12 + 1}, "per_day is 1000000000001"),
    ({"codes": None}, "codes is None"),
    ({"codes": [1]}, "codes is"),
    ({"endpoint": "fast"}, "endpoint: 'fast' is no rate such as 1/10s"),
    ({"endpoint": 5}, "endpoint is 5, expected a text such as '10/min'"),
    ({"endpoint": {}}, "endpoint is {}"),
    ({"refuse": 1}, "refuse is 1, expected true or false"),
    ({"refuse": "unlimited"}, "refuse is 'unlimited'"),
    ({"connection_spacing": "unlimited"}, "connection_spacing is 'unlimited', expected seconds"),
    ({"connection_spacing": -0.1}, "connection_spacing is -0.1"),
    ({"connection_spacing": 3600.5}, "connection_spacing is 3600.5"),
    ({"connection_spacing": float("nan")}, "connection_spacing is nan"),
    ({"connection_spacing": True}, "connection_spacing is True"),
]


@pytest.mark.parametrize(("fields", "text"), WRONG, ids=[str(fields) for fields, _ in WRONG])
def test_what_is_wrong_with_a_plan_is_said_with_its_name_and_field(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match="plan desk: " + re.escape(text)):
        read_plan("desk", fields)


# In the settings.
def settings_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tickwire.toml"
    path.write_text(text)
    return path


def test_a_table_of_the_file_is_a_plan_that_clients_may_have(tmp_path: Path) -> None:
    text = 'plan = "desk"\n[plans.desk]\nbase = "basic"\ncodes = 7\n[plans.free]\ncodes = 9\n'
    settings = load({}, settings_file(tmp_path, text))
    assert settings.plan == "desk"
    assert limits(settings.plans["desk"]) == TABLE["basic"] | VENDOR | {"codes": 7}
    assert limits(settings.plans["free"]) == {"codes": 9}, "a built-in plan may be replaced"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('plan = "desk"', ["'desk'", "none of free"]),
        ("[plans.desk]\ncodes = 0", ["plans in", "plan desk: codes is 0"]),
        ('[plans.desk]\nbase = ["free"]', ["plans in", "plan desk: base"]),
        ("plans = 5", ["plans in", "[plans.desk]"]),
        ("[plans]\ndesk = 5", ["plans in", "[plans.desk]"]),
        ('day_reset = "24:00"', ["day_reset in", "06:30"]),
        ('day_reset = "6:30"', ["day_reset in", "06:30"]),
        ("day_reset = 06:30:00", ["day_reset in", "06:30"]),
        ("takeover_after = -1", ["takeover_after in", "0"]),
    ],
)
def test_what_is_wrong_in_a_file_is_one_clear_line(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as raised:
        load({}, settings_file(tmp_path, text))
    assert len(str(raised.value).splitlines()) == 1
    for word in words:
        assert word in str(raised.value)
