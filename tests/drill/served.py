"""The real server with two additions: its store can be made slow, and how long its loop is held is noted.

python -m tests.drill.served FOLDER serve …: while FOLDER/slow is there, each call of the store takes `SLOW`
seconds; each half second the delays of the loop, in milliseconds, are added to FOLDER/delays.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tickwire.assembly.engine import MarketEngine
from tickwire.cli.main import app
from tickwire.store import Database

SLOW = 0.2
LOOK = 0.005
"""Seconds between looks at the loop."""

folder = Path(sys.argv[1])
run_call, run_engine = Database._run, MarketEngine.run


async def run_slowly(
    self: Database, worker: Any, access: Any, wait: float, call: Callable[..., Any], arguments: Any
) -> Any:
    def slow(*given: Any) -> Any:
        if (folder / "slow").exists():
            time.sleep(SLOW)
        return call(*given)

    return await run_call(self, worker, access, wait, slow, arguments)


async def watch_loop() -> None:
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    said = loop.time()
    while True:
        due = loop.time() + LOOK
        await asyncio.sleep(LOOK)
        delays.append(max(0.0, loop.time() - due) * 1000)
        if loop.time() - said > 0.5:
            said = loop.time()
            with (folder / "delays").open("a") as file:
                file.write("".join(f"{time.time():.3f} {one:.2f}\n" for one in delays))
            delays.clear()


async def run_watched(self: MarketEngine) -> None:
    watching = asyncio.create_task(watch_loop())
    try:
        await run_engine(self)
    finally:
        watching.cancel()


Database._run = run_slowly  # type: ignore[method-assign]
MarketEngine.run = run_watched  # type: ignore[method-assign]
app(sys.argv[2:])
