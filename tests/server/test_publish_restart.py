"""What is published outlives the process: kills at any moment, and every trade in the bars once."""

from __future__ import annotations

from pathlib import Path

from .publishing import NEW, a_trade, desk_in, packed


async def test_a_new_instrument_is_known_after_a_restart(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        data = await desk.data(packed(NEW | {"seq": 1}, a_trade(2, code="MYIDX", price="1.001")))
        assert data["accepted"] == 2
        await desk.served_all()
    async with desk_in(tmp_path) as desk:
        assert (await desk.standing())["seq"] == 2
        data = await desk.data(packed(a_trade(3, code="MYIDX", price="1.002"), NEW))
        assert (data["accepted"], data["bad"]) == (2, [])
        await desk.served_all()
        assert (await desk.last_trade("MYIDX"))["price"] == "1.002"
