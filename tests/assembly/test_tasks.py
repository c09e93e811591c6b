"""Long tasks are kept running: what fails is logged once and begun again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.assembly import tasks as module
from tickwire.assembly.tasks import watched

Lines = list[MutableMapping[str, Any]]


class Ended(BaseException):
    """Ends a task that would run for ever."""


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as found:
        yield found


def task_of(*ends: Exception | str | None) -> Callable[[], Awaitable[None]]:
    """A task that ends like that, one after the other; None: it returns."""
    following = iter(ends)

    async def run() -> None:
        await asyncio.sleep(0)
        end = next(following, Ended())
        if isinstance(end, str):
            raise ValueError(end)
        if end is not None:
            raise end

    return run


async def test_one_that_raises_is_logged_with_its_traceback_and_begun_again(lines: Lines) -> None:
    with pytest.raises(Ended):
        await watched("sweep", task_of("no such row"), pause=0)
    (line,) = lines
    assert (line["log_level"], line["task"], line["reason"]) == ("error", "sweep", "ValueError: no such row")
    assert line["exc_info"].__traceback__ is not None


async def test_one_that_returns_has_failed(lines: Lines) -> None:
    with pytest.raises(Ended):
        await watched("sweep", task_of(None), pause=0)
    assert [line["reason"] for line in lines] == ["it returned"]


async def test_each_reason_is_logged_once(lines: Lines) -> None:
    with pytest.raises(Ended):
        await watched("sweep", task_of(*["a"] * 500, "b", *["a"] * 500), pause=0)
    assert [(line["reason"], line["failures"]) for line in lines] == [
        ("ValueError: a", 1),
        ("ValueError: b", 501),
    ]


async def test_a_reason_that_goes_on_is_logged_again_later(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAY_AGAIN", 0.0)
    with pytest.raises(Ended):
        await watched("sweep", task_of("a", "a"), pause=0)
    assert [line["failures"] for line in lines] == [1, 2]


async def test_pauses_grow_while_it_fails_at_once(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []
    real = asyncio.sleep

    async def counted(seconds: float) -> None:
        pauses.append(seconds)
        await real(0)

    run = task_of(*"abcdefg")
    monkeypatch.setattr(asyncio, "sleep", counted)
    with pytest.raises(Ended):
        await watched("sweep", run, pause=1.0)
    assert [pause for pause in pauses if pause] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


async def test_cancelling_ends_it(lines: Lines) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(watched("sweep", run))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lines == []


async def test_what_it_waits_for_being_cancelled_is_a_failure(lines: Lines) -> None:
    """A task that merely awaits something that is cancelled would otherwise end without a word."""
    runs = 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            raise Ended
        waited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waited.cancel()
        await waited

    with pytest.raises(Ended):
        await watched("sweep", run, pause=0)
    assert [line["reason"] for line in lines] == ["CancelledError: "]
