"""`tickwire` as a process of its own, as a user starts it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ..forks import Process, spawn
from ..serving import PATIENCE, Program, program_environment

NAMED = "import sys; sys.argv[0] = 'tickwire'; from tickwire.__main__ import run; run()"
"""Runs it under its own name, which is not that of `python -m`."""
DONE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
SLOW = "tickwire: still asking: the server is slow.\n"
"""What a busy machine may bring a command to say."""
AT = 1788529064027
WHEN = "2026-09-04T13:37:44.027Z"
"""A moment in milliseconds, and as commands print it."""
SHARED = pytest.mark.asyncio(loop_scope="module")
"""For tests that share the fixture `market`."""
CODES = ("BTCUSDT", "GOLD", ".DJI.US")
"""The codes of that server."""


class Ended(NamedTuple):
    """What a command has left."""

    status: int
    out: str
    err: str

    @property
    def records(self) -> list[Any]:
        """The objects of --json."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Without settings of Tickwire's, and with a folder of settings that is empty unless a test fills it."""
    return program_environment(XDG_CONFIG_HOME=str(home), COLUMNS="80", **more)


@contextlib.asynccontextmanager
async def running(home: Path, *arguments: str, **more: str) -> AsyncIterator[Process]:
    """A command that is at work; ended at the end."""
    process = await spawn(*arguments, env=environment(home, **more))
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def tickwire(home: Path, *arguments: str, **more: str) -> Ended:
    """Runs a command to its end."""
    async with running(home, *arguments, **more) as process:
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode().replace(SLOW, ""))


def at(server: Program, *arguments: str) -> tuple[str, ...]:
    return (*arguments, "--url", server.url)
