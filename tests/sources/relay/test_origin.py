"""What upstream's data is."""

from __future__ import annotations

from ...client.bench import until
from ...serving import Served
from .bench import relaying


async def test_a_tickwire_upstream_says_that_its_data_is_made_up(served: Served) -> None:
    async with relaying(served.url, probe=True) as consumer:
        assert not consumer.relay.simulated
        await until(lambda: consumer.relay.simulated)
