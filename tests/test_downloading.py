"""Bars as one DataFrame: of a server, and of a recording without any. pandas is tried where it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire import Api as AsyncApi
from tickwire import HistoryWarning, MissingLibrary, Progress, download
from tickwire.errors import InputError
from tickwire.market.recorded import recorded_klines
from tickwire.model import KlineType
from tickwire.store.recordings import Recorder, Recordings
from tickwire.sync import Api
from tickwire.testing import AllTickServer

from .serving import Script, serving, trade
from .store.recordings.events import BEGIN, recorded, until
from .store.recordings.events import trade as trade_row

T0 = 1788529020000
"""Where a minute begins."""
MINUTE = 60_000


@pytest.fixture(scope="module")
def server() -> Iterator[AllTickServer]:
    with AllTickServer() as running:
        yield running


# A recording on disk.
async def test_bars_of_a_recording_are_those_that_the_server_made(tmp_path: Path, script: Script) -> None:
    folder = tmp_path / "ticks"
    sent = [
        trade(code, price=f"{100 + number % 7}.5", volume="2", at=T0 + number * 7_000)
        for number in range(60)
        for code in ("BTCUSDT", "700.HK")
    ]
    async with serving(tmp_path / "data", script, record=folder) as served:
        script.emit(*sent)
        while served.engine.market.events < len(sent):
            await served.request("GET", "/healthz")

        async with AsyncApi(served.url) as api:
            live = {code: await api.klines(code, "5m") for code in ("BTCUSDT", "700.HK")}
    found = recorded_klines(folder, ["BTCUSDT", "700.HK"], KlineType.MINUTES_5).bars
    for code, bars in live.items():
        assert len(bars) >= 2
        assert [(one.time * 1000, one.open, one.high, one.low, one.close) for one in found[code]] == [
            (one.time_ms, one.open, one.high, one.low, one.close) for one in bars
        ]
        assert [(one.volume, one.turnover) for one in found[code]] == [
            (one.volume, one.turnover) for one in bars
        ]


async def test_bars_of_what_was_recorded_of_several_sources(tmp_path: Path) -> None:
    one, other = Script(), Script()
    other.name = "other"
    feeds = [(one, ["BTCUSDT"]), (other, ["GOLD"])]
    async with serving(tmp_path / "data", feeds, record=tmp_path / "ticks") as served:
        one.emit(trade("BTCUSDT", "7", at=T0))
        other.emit(trade("GOLD", "8", volume="1", at=T0))
        while served.engine.market.events < 2:
            await served.request("GET", "/healthz")
    found = recorded_klines(tmp_path / "ticks", ["BTCUSDT", "GOLD"], KlineType.MINUTE)
    assert {code: [one.close for one in bars] for code, bars in found.bars.items()} == {
        "BTCUSDT": [7],
        "GOLD": [8],
    }


def ticks(folder: Path, count: int = 10) -> Path:
    """A file of trades of a code, one each half minute."""
    path = folder / "ticks.csv"
    lines = [f"BTCUSDT,{T0 + number * MINUTE // 2},{100 + number}.5,1" for number in range(count)]
    path.write_text("\n".join(["code,tick_time_ms,price,volume", *lines, "GOLD,1,1,1"]), "utf-8")
    return path


def test_a_file_of_trades_is_a_recording_too(tmp_path: Path) -> None:
    bars = recorded_klines(ticks(tmp_path), ["BTCUSDT"], KlineType.MINUTE).bars["BTCUSDT"]
    assert [(one.time * 1000, one.open, one.close, one.volume) for one in bars] == [
        (T0 + n * MINUTE, Decimal(f"{100 + 2 * n}.5"), Decimal(f"{101 + 2 * n}.5"), Decimal(2))
        for n in range(5)
    ]


def test_start_and_end_bound_what_opens(tmp_path: Path) -> None:
    span = T0 + MINUTE // 2, T0 + 3 * MINUTE
    bars = recorded_klines(ticks(tmp_path), ["BTCUSDT"], KlineType.MINUTE, *span).bars["BTCUSDT"]
    assert [one.time * 1000 for one in bars] == [T0 + MINUTE, T0 + 2 * MINUTE]


def test_what_is_not_known_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"NOPE.*instruments="):
        recorded_klines(ticks(tmp_path), ["NOPE"], KlineType.MINUTE)
    with pytest.raises(InputError):
        recorded_klines(tmp_path / "nothing.csv", ["GOLD"], KlineType.MINUTE)


def test_what_a_recording_holds_and_no_bar_has_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    folder, later = tmp_path / "ticks", BEGIN + 10 * MINUTE
    late, market, _, seq = trade_row(3)
    recorded(folder, [trade_row(1), trade_row(2, at=later), (late, market, later * 1000 + 99, seq)])
    too_late = "BTCUSDT: trades that came too late for their bars are in none: 1"
    with pytest.warns(HistoryWarning) as told:
        frame = download("BTCUSDT", interval="1m", recording=folder)
    assert [str(one.message) for one in told] == [too_late]
    assert frame["Volume"].sum() == 1.0
    recorder = Recorder(folder, "simulator")
    recorder.record(*trade_row(4, at=later))
    until(lambda: Recordings(folder).contents().unsealed_bytes)
    with pytest.warns(HistoryWarning) as told:
        download("BTCUSDT", interval="1m", recording=folder)
    recorder.close()
    unsealed, again = (str(one.message) for one in told)
    assert unsealed.endswith("bytes of the recording are not sealed, what is in them is left out")
    assert again == too_late


# As DataFrames.
def test_without_pandas_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingLibrary, match="pip install pandas"):
        download("BTCUSDT")


def test_one_code_gives_the_columns_that_are_known_from_elsewhere(server: AllTickServer) -> None:
    pytest.importorskip("pandas")
    told: list[Progress] = []
    frame = download("BTCUSDT", interval="1m", url=server.url, progress=told.append)
    assert [*frame.columns] == ["Open", "High", "Low", "Close", "Volume"]
    assert {str(kind) for kind in frame.dtypes} == {"float64"}
    assert (frame.index.name, str(frame.index.tz)) == ("Datetime", "UTC")
    assert frame.index.is_monotonic_increasing
    assert len(frame) == told[-1].bars == 500
    with Api(server.url) as api:
        bar = api.klines("BTCUSDT", "1m", 10)[0]
    assert frame["Close"][bar.time] == float(bar.close)


@pytest.mark.parametrize("codes", [None, 5, [], "", " , ", [None], ["GOLD", ""]])
def test_no_code_is_told(codes: Any) -> None:
    pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="no code is named"):
        download(codes)


@pytest.mark.parametrize("recorded", [False, True])
def test_an_end_before_the_start_is_told(server: AllTickServer, tmp_path: Path, *, recorded: bool) -> None:
    pytest.importorskip("pandas")
    recording = ticks(tmp_path) if recorded else None
    with pytest.raises(ValueError, match="the end, 2026-11-16, lies before the start, 2026-11-18"):
        download("GOLD", start="2026-11-18", end="2026-11-16", url=server.url, recording=recording)


def test_many_codes_give_a_multiindex(server: AllTickServer) -> None:
    pytest.importorskip("pandas")
    frame = download(["BTCUSDT", "AAPL.US"], interval="1d", url=server.url, progress=False)
    assert frame.columns.names == ["Price", "Ticker"]
    assert [*frame.columns][:3] == [("Open", "BTCUSDT"), ("Open", "AAPL.US"), ("High", "BTCUSDT")]
    assert (frame.index.name, frame.index.tz) == ("Date", None)
    assert {one.hour for one in frame.index} == {0}
    with Api(server.url) as api:
        bar = api.klines("AAPL.US", "1d", 3)[0]
    day = datetime.fromtimestamp(bar.time_ms / 1000, UTC).strftime("%Y-%m-%d")  # in New York it is the same
    assert frame["Close"]["AAPL.US"][day] == float(bar.close)


def test_a_recording_gives_one_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    path = ticks(tmp_path)
    frame = download(["BTCUSDT"], recording=path, decimals=True, progress=True)
    assert frame["Close"]["BTCUSDT"].iloc[-1] == Decimal("109.5")
    assert "100%  BTCUSDT: 5 bars" in capsys.readouterr().err
    with pytest.warns(HistoryWarning, match=r"the recording, which begins at 2026-09-04T13:37Z"):
        empty = download("BTCUSDT", recording=path, start="2030-01-01", progress=False)
    assert (len(empty), [*empty.columns]) == (0, ["Open", "High", "Low", "Close", "Volume"])
