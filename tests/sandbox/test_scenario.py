"""Scenarios are read from files and documents: what may stand in them, and where they are found."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from tickwire.errors import InputError
from tickwire.model import Family, Market
from tickwire.sandbox import Clock, Disconnect, Scenario, library, load_scenario, scenario_of
from tickwire.sandbox.check import FIELDS
from tickwire.sandbox.scenario import read_scenario
from tickwire.sandbox.steps import Answer, Halt, Jump, Late

WHERE = "mine.toml"


FULL = """
name = "all sorts"
description = "A bit of everything."
seed = 7

[[step]]
do = "halt"
at = 5
for = 30.5
codes = ["AAPL.US", "700.HK"]
markets = ["crypto"]

[[step]]
do = "late"
by = [0.5, 3]
chance = 0.1

[[step]]
do = "jump"
percent = -3.3

[[step]]
do = "disconnect"
after = 2
reset = true
family = "stock"
connections = [1]
tokens = ["team"]

[[step]]
do = "answer"
ret = 605
requests = [22004, "/kline"]

[[step]]
do = "clock"
to = "saturday 12:00"
speed = 0
"""
FULL_SCENARIO = Scenario(
    name="all sorts",
    description="A bit of everything.",
    seed=7,
    steps=(
        Halt(at=5, lasts=30.5, codes=("AAPL.US", "700.HK"), markets=(Market.CRYPTO,)),
        Late(by=(0.5, 3.0), chance=0.1),
        Jump(percent=Decimal("-3.3")),
        Disconnect(after=2, reset=True, family=Family.STOCK, connections=(1,), tokens=("team",)),
        Answer(ret=605, requests=(22004, "/kline")),
        Clock(to="saturday 12:00", speed=0),
    ),
)


def test_all_fields_are_read() -> None:
    assert read_scenario(FULL, WHERE) == FULL_SCENARIO


def test_a_document_is_read_as_a_file_is() -> None:
    document = {
        "name": "all sorts",
        "description": "A bit of everything.",
        "seed": 7,
        "step": [
            {"do": "halt", "at": 5, "for": 30.5, "codes": ["AAPL.US", "700.HK"], "markets": ["crypto"]},
            {"do": "late", "by": [0.5, 3], "chance": 0.1},
            {"do": "jump", "percent": "-3.3"},
            {
                "do": "disconnect",
                "after": 2,
                "reset": True,
                "family": "stock",
                "connections": [1],
                "tokens": ["team"],
            },
            {"do": "answer", "ret": 605, "requests": [22004, "/kline"]},
            {"do": "clock", "to": "saturday 12:00", "speed": 0},
        ],
    }
    assert scenario_of(document, "the body") == FULL_SCENARIO


@pytest.mark.parametrize("action", [action for action in FIELDS if action not in ("jump", "answer", "clock")])
def test_most_actions_need_nothing_more(action: str) -> None:
    (only,) = read_scenario(f'[[step]]\ndo = "{action}"', WHERE).steps
    assert only.at == 0
    assert only.lasts is None


# Files.
def test_a_file_is_loaded_and_lends_its_name(tmp_path: Path) -> None:
    path = tmp_path / "outage.toml"
    path.write_text('\ufeff[[step]]\ndo = "refuse"\n', encoding="utf-8")
    assert load_scenario(str(path)).name == "outage"
    path.write_text('name = "named"\n[[step]]\ndo = "refuse"\n')
    assert load_scenario(str(path)).name == "named"


def test_a_file_of_any_name_is_loaded_by_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outage").write_text('[[step]]\ndo = "refuse"\n')
    (tmp_path / "outage.toml").write_text('[[step]]\ndo = "delay"\n')
    monkeypatch.chdir(tmp_path)
    assert len(load_scenario(f".{os.sep}outage").steps) == 1
    assert load_scenario("outage.toml").name == "outage"
    with pytest.raises(InputError, match=r"no scenario \"outage\""):
        load_scenario("outage")


def test_the_library_is_loaded_by_name() -> None:
    assert load_scenario("weekend") is not None
    assert load_scenario("weekend") == library()["weekend"]


@pytest.mark.parametrize(
    ("name", "near"), [("flaky", "flaky-network"), ("halt", "halt-and-resume"), ("", "")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"nearest is {near}.*tickwire scenario list"):
        load_scenario(name)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.toml", None, "No such file"),
        ("no\0.toml", None, "null byte"),
        ("folder.toml", None, "Is a directory"),
        ("latin.toml", b'name = "\xe9"', r"not UTF-8 \(byte 8\)"),
        ("large.toml", b"#" * (2**20 + 1), "1 MiB"),
        ("wrong.toml", b"\n[[step]]\ndo = 5", "line 3: do"),
    ],
)
def test_a_file_that_is_of_no_use_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    (tmp_path / "folder.toml").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason) as caught:
        load_scenario(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def test_a_file_may_be_as_large_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_bytes(b'[[step]]\ndo = "halt"\n'.ljust(2**20, b"\n"))
    assert len(load_scenario(str(path)).steps) == 1
