"""A market that stands by has its data directory to itself, and knows whether it could take over."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.assembly.standby import Fitness, held_directory, trouble_of
from tickwire.config import Settings
from tickwire.errors import StartError
from tickwire.machine import REAL

from ..postgres import Postgres


async def test_a_database_that_cannot_be_used_is_said_once(postgres: Postgres) -> None:
    good = postgres.database()
    fitness = Fitness(good.replace("tickwire@", "nobody:secret@"))
    with capture_logs() as logs:
        await fitness.look()
        await fitness.look()
        assert "nobody" in fitness.trouble
        assert "secret" not in fitness.trouble
        fitness._database = good
        await fitness.look()
        assert fitness.trouble == ""
    events = ["this market cannot take over", "this market could take over again"]
    assert [one["event"] for one in logs] == events
    assert await trouble_of(good) == ""


def test_no_other_process_uses_the_data_directory_meanwhile(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with (
        contextlib.closing(held_directory(settings, REAL)),
        pytest.raises(StartError, match="Another Tickwire"),
    ):
        held_directory(settings, REAL)
    held_directory(settings, REAL).close()
