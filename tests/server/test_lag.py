"""What holds up the event loop: docs/operating.md, "When the event loop is blocked"."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.server import lag as lag_module
from tickwire.server.lag import BLOCKED, BOUNDS, LoopLag

from ..serving import Served, until
from .test_metrics import scrape


@pytest.fixture(autouse=True)
def _real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag_module, "BLOCKED", BLOCKED)


def hold_up(until: Callable[[], bool]) -> None:
    while not until():
        time.sleep(0.001)


async def hold_up_in_a_task(until: Callable[[], bool]) -> None:
    hold_up(until)


def said(logs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in logs if one["event"] == "the event loop is blocked"]


async def test_the_log_names_what_blocks_the_loop_and_the_metrics_count_it(served: Served) -> None:
    before = await scrape(served)
    with capture_logs() as logs:

        def seen() -> bool:
            return any("hold_up_in_a_task" in str(one["at"]) for one in said(logs))

        while not seen():  # a busy machine may have held the loop up before us, which is said once
            until = time.monotonic() + 1
            held_up = hold_up_in_a_task(lambda until=until: seen() or time.monotonic() > until)  # type: ignore[misc]
            await asyncio.create_task(held_up, name="a long one")
            await asyncio.sleep(0.1)
    (line,) = [one for one in said(logs) if "hold_up_in_a_task" in str(one["at"])]
    at = str(line["at"]).split(" < ")
    places = [one.partition(" ")[0] for one in at]
    assert line["task"] == "a long one"
    assert places.index("hold_up") < places.index("hold_up_in_a_task")
    assert "(test_lag.py:" in at[places.index("hold_up_in_a_task")]
    after = await scrape(served)
    assert (after.get("loop_blocked_total") or 0) >= (before.get("loop_blocked_total") or 0) + 1
    late = [
        (one.get("loop_lag_seconds_count") or 0) - (one.get("loop_lag_seconds_bucket", le=str(BLOCKED)) or 0)
        for one in (before, after)
    ]
    assert late[1] >= late[0] + 1
    assert (after.get("loop_lag_seconds_sum") or 0) > (before.get("loop_lag_seconds_sum") or 0) + BLOCKED


def hold_up_once_more(lag: LoopLag) -> None:
    count, until = lag.blocked, time.monotonic() + 1
    while lag.blocked == count and time.monotonic() < until:
        time.sleep(0.001)


async def test_what_was_said_is_not_said_again_soon() -> None:
    lag = LoopLag(time.monotonic)
    task = asyncio.create_task(lag.run())
    with capture_logs() as logs:
        while lag.blocked < 5:
            looks = lag.lags.buckets[-1][1]
            await until(lambda looks=looks: lag.lags.buckets[-1][1] > looks)  # type: ignore[misc]
            hold_up_once_more(lag)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    places = [str(one["at"]).partition(" < ")[0] for one in said(logs)]
    assert lag.blocked >= 5
    assert any(place.startswith("hold_up_once_more") for place in places)
    assert len(places) == len(set(places))


async def test_its_thread_ends_with_it() -> None:
    def threads() -> set[threading.Thread]:
        return {one for one in threading.enumerate() if one.name == "loop lag"}

    before = threads()  # of which those of tests before this one may be about to end
    lag = LoopLag(time.monotonic)
    task = asyncio.create_task(lag.run())
    await until(lambda: threads() - before)
    (mine,) = threads() - before
    task.cancel()
    await until(lambda: not mine.is_alive())
    assert [name for name, _ in lag.lags.buckets] == [*map(str, BOUNDS), "+Inf"]
