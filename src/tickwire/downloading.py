"""Bars of many codes as one DataFrame of pandas, with the columns that users of yfinance know."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterable
from datetime import date
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .client import (
    Api,
    GapInfo,
    HistoryWarning,
    Kline,
    Network,
    Plan,
    Progress,
    Rows,
    Token,
    kline_type_of,
)
from .client.events import kline_of
from .client.history import between
from .client.rows import library
from .client.shortfall import recorded_shortfall
from .model import KlineType, trading_date
from .sync import run

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
SEPARATORS = re.compile(r"[\s,]+")
"""Between codes in a text; no code has one of them."""
EPOCH = date(1970, 1, 1)
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
    as a text gives these; a list of codes, or several in a text ("AAPL.US GOLD"), give a MultiIndex of these
    and the codes ("Price", "Ticker"). The index is ascending: "Datetime" in UTC, from "1d" on "Date" without
    a zone, the trading date of each code's exchange. So are `start` and `end`: without a zone they are UTC,
    and from "1d" on trading dates; with one they are moments. Without `start` the last 500 bars of each code.

    What has no bars, or begins later than `start`, gives a HistoryWarning, which says how far the bars go
    back. `attrs` of the DataFrame hold by code the `source` that a Tickwire, or the recording, has the bars
    of (empty where that is not told), and the `gaps`: the times in which it was down (None where that is not
    told), the newest first, each a dict with source, codes, begin, end, reason and filled.

    They come from a running server or an AllTick account (`url`, `token`, `plan` and `network` are as for
    `connect`), or from a `recording` on disk without any server: the folder of one, or a CSV file;
    `instruments` then are files that describe codes of the user's own. `progress` is called with each
    Progress; by default a line on standard error shows it if that is a terminal, False shows nothing.

    Works in scripts and in notebooks. Raises MissingLibrary without pandas, ValueError for what is no time
    or no interval, an `end` before `start`, or without a code, ClientError of the server, InputError of the
    recording.

        tickwire.download("BTCUSDT", interval="1h")["Close"].plot()
        tickwire.download(["AAPL.US", "GOLD"], start="2026-09-01", interval="1d")["Close"]
    """
    library("pandas", "download()")
    kline_type = kline_type_of(interval)
    first, last = between(start, end, kline_type)
    found_codes = SEPARATORS.split(codes.strip()) if isinstance(codes, str) else codes
    names = [*dict.fromkeys(found_codes)] if isinstance(found_codes, Iterable) else []
    if not names or not all(isinstance(one, str) and one for one in names):
        raise ValueError('no code is named: say "GOLD" or ["GOLD", "AAPL.US"]')
    short: list[str] = []
    shown = progress is True or (progress is None and sys.stderr.isatty())
    tell = _line(len(names)) if shown else progress if callable(progress) else None

    async def asked() -> list[Rows[Kline]]:
        async with Api(url, token=token, plan=plan, network=network) as api:
            return [
                await api.klines(
                    one, kline_type, start=start, end=end, progress=tell, on_short=short.append, gaps=True
                )
                for one in names
            ]

    try:
        if recording is None:
            rows = run(asked())
        else:
            from .market.recorded import recorded_klines

            own = [Path(one) for one in instruments]
            found = recorded_klines(Path(recording), names, kline_type, first, last, instruments=own)
            rows = []
            if found.unsealed:
                short.append(
                    f"{found.unsealed} bytes of the recording are not sealed, what is in them is left out"
                )
            for code in names:
                bars, gaps = found.bars[code], Rows(GapInfo, found.gaps)
                rows.append(Rows(Kline, map(kline_of, bars), source=found.source, gaps=gaps))
                short += filter(None, [recorded_shortfall(code, kline_type, first, bars, found.begin)])
                if late := found.late[code]:
                    short.append(f"{code}: trades that came too late for their bars are in none: {late}")
                if tell is not None:
                    tell(Progress(code, len(bars), 1.0))
    finally:
        if shown:
            sys.stderr.write("\n")
    for text in short:
        warnings.warn(text, HistoryWarning, stacklevel=2)
    frames = {code: _frame(bars, kline_type, decimals) for code, bars in zip(names, rows, strict=True)}
    frame = frames[names[0]] if isinstance(codes, str) and len(names) == 1 else _joined(frames)
    frame.attrs = {
        "source": {code: bars.source for code, bars in zip(names, rows, strict=True)},
        "gaps": {code: _told(bars.gaps) for code, bars in zip(names, rows, strict=True)},
    }
    return frame


def _frame(rows: Rows[Kline], kline_type: KlineType, decimals: bool) -> pd.DataFrame:
    pandas = library("pandas", "download()")
    if kline_type >= KlineType.DAY:
        times = [(trading_date(one.time_ms) - EPOCH).days for one in rows]
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


def _told(gaps: Rows[GapInfo] | None) -> list[dict[str, Any]] | None:
    """Gaps as what may stand in `attrs`, which are written into files as JSON."""
    if gaps is None:
        return None
    times = ("begin", "end", "filled")
    return [
        {"source": one.source, "codes": [*one.codes], "reason": one.reason}
        | {name: None if (at := getattr(one, name)) is None else at.isoformat() for name in times}
        for one in gaps
    ]


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
