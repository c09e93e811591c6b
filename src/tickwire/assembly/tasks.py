"""Keeps a long task running."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

LONGEST_PAUSE = 30.0
"""Seconds that a task which keeps failing at once waits at the most before it is begun again."""
SAY_AGAIN = 600.0
"""Seconds after which a reason that has been logged is logged again if it still occurs."""

log = structlog.get_logger()


async def watched(name: str, run: Callable[[], Awaitable[None]], *, pause: float = 1.0) -> None:
    """Runs a task for ever.

    One that raises, or returns although it should never end, is logged and begun again after `pause`
    seconds; twice as many each time it fails sooner than that, `LONGEST_PAUSE` at the most. A reason is
    logged with its traceback when it first occurs, then every `SAY_AGAIN` seconds, with how often the task
    has failed. Cancelling ends it.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    wait, failures = pause, 0
    said: dict[str, float] = {}
    while True:
        began = loop.time()
        error: BaseException | None = None
        try:
            await run()
        except asyncio.CancelledError as cancelled:
            if task is None or task.cancelling():
                raise
            error = cancelled  # not of this task, but of something that it waited for
        except Exception as raised:
            error = raised
        now = loop.time()
        failures += 1
        if now - began > wait:
            wait = pause
        reason = "it returned" if error is None else f"{type(error).__name__}: {error}"
        said = {one: at for one, at in said.items() if now - at < SAY_AGAIN}
        if reason not in said:
            said[reason] = now
            log.error(
                "a task failed and is begun again",
                task=name,
                reason=reason,
                failures=failures,
                pause=wait,
                exc_info=error,
            )
        await asyncio.sleep(wait)
        wait = min(2 * wait, LONGEST_PAUSE)
