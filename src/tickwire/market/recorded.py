"""Bars of a recording on disk, without any server: what was recorded to Parquet, or CSV files of trades or
quotes (docs/recording.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from ..errors import InputError
from ..files import is_folder
from ..klines import Closed, Series
from ..model import Catalogue, Entrance, Event, Kline, KlineType, Trade, event_fault, turnover
from ..sources.recording import Recording
from ..sources.replay import Csv, QuoteTrades
from ..store import load_catalogue
from ..store.recordings import Recordings

FOREVER = 4_102_444_800_000
"""The year 2100, in milliseconds: every bar has ended."""
DAY = 86_400_000
"""Milliseconds by which the first trade of a bar may lie before it opens: a Sunday's belong to Monday."""


def recorded_klines(
    path: Path,
    codes: Collection[str],
    kline_type: KlineType,
    start: int | None = None,
    end: int | None = None,
    *,
    instruments: Iterable[Path] = (),
) -> dict[str, list[Kline]]:
    """The bars that open from `start` on and before `end` (milliseconds since the epoch), by code, ascending.

    `path` is the folder of a recording, or a CSV file, plain or gzipped. `instruments` are files that say
    what codes of the user's own are. Raises InputError for a code that nothing is known of, and for what is
    no recording.
    """
    catalogue = load_catalogue(instruments)
    if unknown := [code for code in codes if code not in catalogue]:
        raise InputError(f"Nothing is known of {', '.join(unknown)}: say what it is with instruments=…")
    series = {code: Series(catalogue[code]) for code in codes}
    bars: dict[str, dict[int, Kline]] = {code: {} for code in codes}

    def keep(closed: Iterable[Closed]) -> None:
        for bar, _ in closed:
            if bar.kline_type is kline_type:
                bars[bar.code][bar.time] = bar

    for event in _events(path, codes, None if start is None else start - DAY, catalogue):
        if isinstance(event, Trade):
            keep(series[event.code].add(event, turnover(catalogue[event.code], event)))
    for one in series.values():
        keep(one.advance(FOREVER))
    first, last = start or 0, FOREVER if end is None else end
    return {
        code: [found[time] for time in sorted(found) if first <= time * 1000 < last]
        for code, found in bars.items()
    }


def _events(path: Path, codes: Collection[str], first: int | None, catalogue: Catalogue) -> Iterator[Event]:
    """What was recorded of the codes, at least that from `first` on."""
    if is_folder(path):
        found = (one.event for one in Recordings(path).read(first, None, codes))
        yield from (one for one in found if event_fault(one, catalogue[one.code], Entrance.REPLAY) is None)
        return
    recording = Recording([path], catalogue, only=frozenset(codes))
    for _, events in Csv(recording, catalogue, recording.scan().traded, QuoteTrades.BID).events():
        yield from events
