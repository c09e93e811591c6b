"""What a market has while it stands by: its data directory, and whether it could take over now."""

from __future__ import annotations

import asyncio

import structlog

from ..config import Settings
from ..errors import StartError
from ..machine import Machine
from ..store import DataDirectory, load_catalogue, reach_postgres

GOOD, BAD = 5.0, 1.0
"""Seconds after which it is looked again, at one that could and at one that could not."""

log = structlog.get_logger()


def held_directory(settings: Settings, machine: Machine) -> DataDirectory:
    """Its data directory, which no other process may use until it is closed. Raises StartError if it cannot
    be used, or another one uses it."""
    return DataDirectory(settings.data_dir, machine.disk)


def read_ahead() -> None:
    """Reads the whole catalogue, for all markets of this process: who takes over needs all of it at once,
    which takes a third of a second."""
    for _ in load_catalogue(()):
        pass


async def trouble_of(database: str) -> str:
    """Why a database cannot be used; empty if it can. Does not fail."""
    try:
        await asyncio.to_thread(reach_postgres, database)
    except StartError as error:
        return str(error)
    except Exception as error:
        log.exception("it cannot be seen whether a database can be used")
        return f"it cannot be seen whether the database can be used: {error}"
    return ""


class Fitness:
    """What a market would lack that took over: its database. One that lacks it leaves the lease to others."""

    def __init__(self, database: str) -> None:
        """`database` is its URL."""
        self.trouble = ""
        """What it lacks; empty for nothing."""
        self._database = database

    async def look(self) -> None:
        """Looks once. Does not fail."""
        before, self.trouble = self.trouble, await trouble_of(self._database)
        if self.trouble and not before:
            log.warning("this market cannot take over", reason=self.trouble)
        elif before and not self.trouble:
            log.info("this market could take over again")

    async def run(self) -> None:
        """Looks time and again. Never ends."""
        while True:
            await asyncio.sleep(BAD if self.trouble else GOOD)
            await self.look()
