"""What upstream's data is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ...serving import Served, serving, until
from .bench import relaying


async def test_a_tickwire_upstream_says_that_its_data_is_made_up(served: Served) -> None:
    async with relaying(served.url, probe=True) as consumer:
        assert not consumer.relay.simulated
        await until(lambda: consumer.relay.simulated)


@pytest.mark.parametrize("hours", [False, True])
async def test_the_markets_of_a_tickwire_keep_the_hours_that_it_says(tmp_path: Path, *, hours: bool) -> None:
    async with (
        serving(tmp_path, source="simulator", market_hours=hours) as served,
        relaying(served.url, probe=True) as consumer,
    ):
        await until(lambda: consumer.relay.simulated)
        assert consumer.relay.round_the_clock is not hours
