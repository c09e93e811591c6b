"""The calls of a running server to its stores: what takes too long, what fails, and when that is over."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.errors import StoreError
from tickwire.store import Database, SqliteFile, database


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(SqliteFile(tmp_path / "tickwire.db"), time.time)
    yield made
    await asyncio.to_thread(made.close)


@pytest.fixture
def let_go() -> threading.Event:
    return threading.Event()


async def begun(store: Database, let_go: threading.Event, kind: str) -> asyncio.Task[bool]:
    """A call that is being made, and ends when it is let go."""
    entered = threading.Event()

    def call() -> bool:
        entered.set()
        return let_go.wait(60)

    calling = asyncio.create_task(getattr(store, kind)(call))
    await asyncio.to_thread(entered.wait, 60)
    return calling


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_what_takes_too_long_is_told_and_no_longer_waited_for(
    store: Database, let_go: threading.Event, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, f"{kind.upper()}_WAIT", 0.05)
    calling = await begun(store, let_go, kind)
    with pytest.raises(StoreError, match="took longer than"):
        await calling
    access = getattr(store, f"{kind}s")
    assert access.failures == 1
    assert "took longer than" in access.reason
    let_go.set()


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_a_pause_of_the_process_is_no_failure_of_the_store(
    store: Database, let_go: threading.Event, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, f"{kind.upper()}_WAIT", 5.0)
    loop, clock = asyncio.get_running_loop(), [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + clock[0])
    calling = await begun(store, let_go, kind)
    await asyncio.sleep(0)
    clock[0] += 3600  # as after a suspension: the timer has long been due when it is looked at
    await asyncio.sleep(0.01)
    let_go.set()
    assert await calling is True
    assert getattr(store, f"{kind}s").failures == 0


async def test_a_store_is_mended_some_time_after_its_last_failure_whether_or_not_it_is_called_again(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreError("out of order")

    monkeypatch.setattr(database, "SETTLED", 3600)
    began = time.time()
    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(StoreError, match="out of order"):
                await store.write(fail)
        await store.write(lambda: None)
        assert began <= (store.writes.since or 0) <= time.time()
        assert store.writes.reason == "out of order"
        monkeypatch.setattr(database, "SETTLED", 0)
        assert store.writes.since is None
        assert store.writes.reason == ""
    assert [line["event"] for line in logs] == [
        "the store cannot be written",
        "the store can be written again",
    ]


@pytest.mark.parametrize("kind", ["read", "write"])
async def test_what_waits_is_counted(store: Database, let_go: threading.Event, kind: str) -> None:
    calling = [await begun(store, let_go, kind)]
    waiting = f"waiting_{kind}s"
    assert getattr(store, waiting) == 0, "one that is made does not wait"
    for count in (1, 2):
        calling.append(asyncio.create_task(getattr(store, kind)(lambda: True)))
        await asyncio.sleep(0)
        assert getattr(store, waiting) == count
    let_go.set()
    assert await asyncio.gather(*calling) == [True] * 3
    assert (store.waiting_reads, store.waiting_writes) == (0, 0)
