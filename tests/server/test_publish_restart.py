"""What is published outlives the server; kills are in tests/test_kill.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.store.recordings import Recorder, Recordings

from ..cli.commands import tickwire
from ..serving import OTHER_HTTP
from .publishing import NEW, a_trade, desk_in, now, packed


async def test_what_waits_at_the_end_is_kept_in_bars_and_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks, count = tmp_path / "ticks", 2_000
    with monkeypatch.context() as slow:
        slow.setattr(Recorder, "behind", True)  # so that all but the first line waits
        async with desk_in(tmp_path / "data", record=ticks) as desk:
            data = await desk.data(packed(*(a_trade(seq) for seq in range(1, count + 1))))
            assert data["seq"] == count
            assert data["queued"] > count / 2
    assert len([*Recordings(ticks).read()]) == count
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        standing = await desk.standing()
        assert (standing["seq"], standing["durable"]) == (count, count)
        assert desk.published.queued == 0


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


async def test_imported_bars_of_later_hold_up_no_trade_of_now(tmp_path: Path) -> None:
    ahead = now() // 60_000 * 60 + 3 * 3600
    lines = [f"BTCUSDT,{ahead + 60 * minute},1,2,1,2\n" for minute in range(60)]
    (tmp_path / "bars.csv").write_text("code,timestamp_s,open,high,low,close\n" + "".join(lines))
    file = str(tmp_path / "bars.csv")
    await tickwire(tmp_path, "import", file, "--source", "publish", "--data-dir", str(tmp_path / "data"))
    async with desk_in(tmp_path / "data") as desk:
        await desk.data(packed(a_trade(1, price="100")))
        await desk.served_all()
        for kline_type in (1, 5, 8):
            query = {"data": {"code": "BTCUSDT", "kline_type": kline_type, "query_kline_num": 500}}
            bars = (await desk.served.get(f"{OTHER_HTTP}/kline", query)).json()["data"]["kline_list"]
            assert (bars[-1]["close_price"], bars[-1]["volume"]) == ("100.00", "1.00000")
            assert int(bars[-1]["timestamp"]) < ahead
        (told,) = (await desk.served.get("/readyz")).json()["sources"]
        assert told["late"] == 0
