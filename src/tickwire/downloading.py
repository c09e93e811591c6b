"""Bars of many codes as one DataFrame of pandas, with the columns that users of yfinance know."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .client import Api, Kline, Network, Plan, Progress, Rows, Token, kline_type_of
from .client.events import kline_of
from .client.history import milliseconds
from .client.rows import library
from .model import KlineType
from .sync import run

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd

COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
HALF_A_DAY = 43_200_000
"""Milliseconds. A day opens at midnight of its exchange: half a day later it is the same date in UTC."""
WIDTH = 30

Tell: TypeAlias = Callable[[Progress], object]


def download(
    codes: str | Iterable[str],
    *,
    start: str | date | None = None,
    end: str | date | None = None,
    interval: str = "1m",
    url: str | None = None,
    token: Token | None = None,
    plan: str | Plan | None = None,
    recording: str | PathLike[str] | None = None,
    instruments: Iterable[str | PathLike[str]] = (),
    decimals: bool = False,
    progress: bool | Tell | None = None,
    network: Network | None = None,
) -> pd.DataFrame:
    """The bars that open from `start` on and before `end`, as a DataFrame.

    Columns are Open, High, Low, Close and Volume: floats, or exact decimals if `decimals` says so. One code
    as a text gives these; a list of codes gives a MultiIndex of these and the codes ("Price", "Ticker").
    The index is ascending: "Datetime" in UTC, from "1d" on "Date" without a zone. Without `start` the last
    500 bars of each code.

    They come from a running server or an AllTick account (`url`, `token`, `plan` and `network` are as for
    `connect`), or from a `recording` on disk without any server: the folder of one, or a CSV file;
    `instruments` then are files that describe codes of the user's own. `progress` is called with each
    Progress; by default a line on standard error shows it if that is a terminal, False shows nothing.

    Works in scripts and in notebooks. Raises MissingLibrary without pandas, ValueError for what is no time
    or no interval, ClientError of the server, InputError of the recording.

        tickwire.download("BTCUSDT", interval="1h")["Close"].plot()
        tickwire.download(["AAPL.US", "GOLD"], start="2026-09-01", interval="1d")["Close"]
    """
    library("pandas", "download()")
    kline_type, first, last = kline_type_of(interval), milliseconds(start), milliseconds(end)
    names = [codes] if isinstance(codes, str) else [*dict.fromkeys(codes)]
    shown = progress is True or (progress is None and sys.stderr.isatty())
    tell = _line(len(names)) if shown else progress if callable(progress) else None

    async def asked() -> list[Rows[Kline]]:
        async with Api(url, token=token, plan=plan, network=network) as api:
            return [await api.klines(one, kline_type, start=start, end=end, progress=tell) for one in names]

    try:
        if recording is None:
            rows = run(asked())
        else:
            from .market.recorded import recorded_klines

            own = [Path(one) for one in instruments]
            found = recorded_klines(Path(recording), names, kline_type, first, last, instruments=own)
            rows = [Rows(Kline, map(kline_of, found[one])) for one in names]
            for code, bars in zip(names, rows, strict=True):
                if tell is not None:
                    tell(Progress(code, len(bars), 1.0))
    finally:
        if shown:
            sys.stderr.write("\n")
    frames = {code: _frame(bars, kline_type, decimals) for code, bars in zip(names, rows, strict=True)}
    return frames[codes] if isinstance(codes, str) else _joined(frames)


def _frame(rows: Rows[Kline], kline_type: KlineType, decimals: bool) -> pd.DataFrame:
    pandas = library("pandas", "download()")
    daily = kline_type >= KlineType.DAY
    if daily:
        times = [(one.time_ms + HALF_A_DAY) // 86_400_000 for one in rows]
        index = pandas.DatetimeIndex(pandas.to_datetime(times, unit="D"), name="Date")
    else:
        times = [one.time_ms for one in rows]
        index = pandas.DatetimeIndex(pandas.to_datetime(times, unit="ms", utc=True), name="Datetime")
    kind = "object" if decimals else "float64"
    data: dict[str, Any] = {}
    for name, field in COLUMNS.items():
        values = [getattr(one, field) for one in rows]
        data[name] = pandas.Series(values if decimals else [*map(float, values)], index=index, dtype=kind)
    return pandas.DataFrame(data, index=index)


def _joined(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The bars of many codes beside one another; what one of them lacks is missing there."""
    pandas = library("pandas", "download()")
    wide = pandas.concat(frames, axis=1, names=["Ticker", "Price"], sort=True).swaplevel(axis=1)
    return wide[[(price, code) for price in COLUMNS for code in frames]]


def _line(codes: int) -> Tell:
    """What shows the progress of so many codes as a line on standard error."""
    done: dict[str, float] = {}

    def show(progress: Progress) -> None:
        done[progress.code] = progress.part
        part = sum(done.values()) / codes
        bar = "█" * int(part * WIDTH)
        sys.stderr.write(f"\r{bar:░<{WIDTH}} {part:4.0%}  {progress.code}: {progress.bars} bars\x1b[K")
        sys.stderr.flush()

    return show
