"""The scenarios that come with Tickwire do what their names promise."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from tickwire.calendars import KEYS, load
from tickwire.model import Market
from tickwire.sandbox import Scenario, clock_target, library, library_text
from tickwire.sandbox.steps import OnMarket
from tickwire.sources.simulator import DEFAULT_CODES
from tickwire.store import load_catalogue

LIBRARY = library()
CATALOGUE = load_catalogue()
LONGEST_DESCRIPTION = 100
"""Characters that fit beside the name on most terminals."""

# How often each action occurs in the scenarios, and no other.
PROMISED = {
    "burst": {"burst": 2},
    "delisted": {"delist": 1},
    "expired-token": {"expire-token": 1},
    "fast-clock": {"clock": 1},
    "flaky-network": {"disconnect": 2, "refuse": 1, "delay": 1},
    "flash-crash": {"jump": 5, "burst": 1, "halt": 1, "resume": 1},
    "halt-and-resume": {"halt": 1},
    "limit-down": {"limit-down": 2},
    "limit-up": {"limit-up": 2},
    "maintenance": {"refuse": 1, "disconnect": 1},
    "market-close": {"close-market": 1},
    "messy-ticks": {"late": 1, "duplicate": 1, "out-of-order": 1},
    "normal-clock": {"clock": 1},
    "quiet-source": {"gap": 2},
    "rate-limited": {"answer": 6},
    "slow-server": {"delay": 1},
    "weekend": {"clock": 1},
}


def only(name: str) -> object:
    (step,) = LIBRARY[name].steps
    return step


def fields(step: object, *names: str) -> tuple[object, ...]:
    return tuple(getattr(step, name) for name in names)


def test_the_library_is_as_promised_in_alphabetical_order() -> None:
    assert [*LIBRARY] == sorted(PROMISED)
    folder = Path(str(files("tickwire.sandbox"))) / "scenarios"
    assert {path.name for path in folder.iterdir()} == {f"{name}.toml" for name in PROMISED}


@pytest.mark.parametrize(("name", "scenario"), LIBRARY.items(), ids=LIBRARY)
def test_a_scenario_says_in_a_line_what_it_is(name: str, scenario: Scenario) -> None:
    assert scenario.name == name
    assert scenario.description.isprintable()
    assert 20 < len(scenario.description) <= LONGEST_DESCRIPTION
    assert scenario.description.endswith(".")
    assert "\n# " in library_text(name)


@pytest.mark.parametrize(("name", "scenario"), LIBRARY.items(), ids=LIBRARY)
def test_a_scenario_names_only_codes_that_the_simulator_runs(name: str, scenario: Scenario) -> None:
    for step in scenario.steps:
        if isinstance(step, OnMarket):
            assert set(step.codes) <= set(DEFAULT_CODES)
            assert all(code in CATALOGUE for code in step.codes)


@pytest.mark.parametrize("name", PROMISED)
def test_a_scenario_is_made_of_the_steps_that_it_promises(name: str) -> None:
    steps = tomllib.loads(library_text(name))["step"]
    assert Counter(step["do"] for step in steps) == PROMISED[name]


def test_at_the_weekend_crypto_trades_and_nothing_else() -> None:
    to, hours = fields(only("weekend"), "to", "hours")
    assert hours is True
    now = clock_target(str(to), clock_target("2026-11-25T09:00Z", 0))
    assert [key for key in KEYS if load(key).is_open(now)] == ["crypto"]


def test_a_flash_crash_falls_recovers_is_halted_and_resumes() -> None:
    steps = LIBRARY["flash-crash"].steps
    level, lowest = 1.0, 1.0
    for step in steps:
        assert isinstance(step, OnMarket)
        if percent := getattr(step, "percent", None):
            level *= 1 + float(percent) / 100
            lowest = min(lowest, level)
    assert lowest < 0.91
    assert level == pytest.approx(1, abs=0.001)
    times = {
        kind: [one.at for one in steps if type(one).__name__ == kind] for kind in ("Jump", "Halt", "Resume")
    }
    assert [*times["Jump"], *times["Halt"], *times["Resume"]] == [5, 6, 7, 10, 12, 15, 25]


def test_a_flaky_network_breaks_soon_by_dice() -> None:
    scenario = LIBRARY["flaky-network"]
    assert scenario.seed is None  # the server's decides
    for step in scenario.steps:
        at, lasts, chance = fields(step, "at", "lasts", "chance")
        assert (at, lasts) == (0, None)
        assert isinstance(chance, float)
        assert 0.2 <= chance <= 0.5 or step is scenario.steps[1]
    assert fields(scenario.steps[1], "chance") == (1,)  # no connection lasts
    assert [fields(step, "after", "reset", "code") for step in scenario.steps[:2]] == [
        ((2, 6), True, 1011),
        ((3, 8), False, 1011),
    ]
    assert fields(scenario.steps[2], "status") == (503,)


def test_a_rate_limit_comes_in_stretches() -> None:
    steps = LIBRARY["rate-limited"].steps
    stretches = Counter(fields(step, "at", "lasts", "ret") for step in steps)
    assert stretches == Counter((at, 10, ret) for at in (5, 25, 45) for ret in (605, 429))
    by_ret = {getattr(step, "ret", None): getattr(step, "requests", ()) for step in steps}
    assert by_ret[605] == (22002, 22004)
    assert "/kline" in by_ret[429]


def test_times_are_as_promised() -> None:
    assert fields(only("halt-and-resume"), "at", "lasts", "codes") == (
        5,
        30,
        ("AAPL.US", "700.HK", "600519.SH"),
    )
    assert fields(only("expired-token"), "at", "lasts", "tokens") == (10, 20, ())
    assert fields(only("market-close"), "at", "lasts") == (10, 60)
    assert fields(only("fast-clock"), "at", "speed") == (0, 60)
    assert fields(only("normal-clock"), "at", "speed") == (0, 1)
    refuse, disconnect = LIBRARY["maintenance"].steps
    assert fields(refuse, "at", "lasts", "status") == (5, 15, 503)
    assert fields(disconnect, "at", "lasts", "code", "reason") == (5, 15, 1012, "service restart")


def test_closed_markets_are_those_of_stocks() -> None:
    (markets,) = fields(only("market-close"), "markets")
    assert set(markets) == {Market.US_STOCK, Market.HK_STOCK, Market.CN_STOCK, Market.INDEX}  # type: ignore[call-overload]
