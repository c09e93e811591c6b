"""Bars of many codes as one DataFrame of pandas, with the columns that users of yfinance know."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
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
    line = _Line(len(names)) if (progress is None and sys.stderr.isatty()) or progress is True else None
    tell = line.show if line is not None else progress if callable(progress) else None
    try:
        if recording is not None:
            own = [Path(one) for one in instruments]
            rows = _from_disk(Path(recording), names, kline_type, first, last, own, tell)
        else:
            api = Api(url, token=token, plan=plan, network=network)
            rows = run(_from_server(api, names, kline_type, start, end, tell))
    finally:
        if line is not None:
            line.end()
    frames = {code: _frame(found, kline_type, decimals) for code, found in zip(names, rows, strict=True)}
    return frames[codes] if isinstance(codes, str) else _joined(frames)


async def _from_server(
    api: Api,
    codes: Sequence[str],
    kline_type: KlineType,
    start: str | date | None,
    end: str | date | None,
    tell: Tell | None,
) -> list[Rows[Kline]]:
    async with api:
        return [await api.klines(code, kline_type, start=start, end=end, progress=tell) for code in codes]


def _from_disk(
    path: Path,
    codes: Sequence[str],
    kline_type: KlineType,
    start: int | None,
    end: int | None,
    instruments: Sequence[Path],
    tell: Tell | None,
) -> list[Rows[Kline]]:
    from .market.recorded import recorded_klines

    found = recorded_klines(path, codes, kline_type, start, end, instruments=instruments)
    rows = [Rows(Kline, map(kline_of, found[code])) for code in codes]
    for code, bars in zip(codes, rows, strict=True):
        if tell is not None:
            tell(Progress(code, len(bars), 1.0))
    return rows


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


class _Line:
    def __init__(self, codes: int) -> None:
        self._codes = codes
        self._done: dict[str, float] = {}

    def show(self, progress: Progress) -> None:
        self._done[progress.code] = progress.part
        part = sum(self._done.values()) / self._codes
        bar = "█" * int(part * WIDTH)
        sys.stderr.write(f"\r{bar:░<{WIDTH}} {part:4.0%}  {progress.code}: {progress.bars} bars\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        sys.stderr.write("\n")
