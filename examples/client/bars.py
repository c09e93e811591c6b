"""Reads bars and prices over HTTP, without asyncio: in a script, or in a notebook.

python bars.py
"""

from __future__ import annotations

from tickwire import Progress, sync


def show(progress: Progress) -> None:
    print(f"{progress.code}: {progress.bars} bars, {progress.part:.0%}")


with sync.Api() as api:
    bars = api.klines("BTCUSDT", "1m", 600, progress=show)
    print("from", bars[0].time, "to", bars[-1].time, "last", bars[-1].close)
    for trade in api.latest_trades(["BTCUSDT", "AAPL.US"]):
        print(trade.code, trade.price, "at", trade.time)
    print("open:", [market.calendar for market in api.markets() if market.state == "open"])
    table = bars.to_arrow(floats=True)  # or .to_pandas(), .to_polars()
    print(table.num_rows, "rows of", ", ".join(table.column_names))
