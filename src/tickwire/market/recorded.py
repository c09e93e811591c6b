"""Bars of a recording on disk, without any server: what was recorded to Parquet, or CSV files of trades or
quotes (docs/recording.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..files import is_folder
from ..klines import FOREVER, Closed, Rules, Series
from ..model import Catalogue, Correction, Entrance, Event, Kline, KlineType, Trade, event_fault, turnover
from ..sources.recording import Recording
from ..sources.replay import Csv, QuoteTrades
from ..store import load_catalogue
from ..store.recordings import Recordings
from ..store.recordings.gaps import Gap
from ..wire import GapInfo

DAY = 86_400_000
"""Milliseconds by which the first trade of a bar may lie before it opens: a Sunday's belong to Monday."""


class Recorded(NamedTuple):
    """Bars of a recording by code, ascending; where it has them from, what it lacks in their time, the newest
    first, and when it begins, in milliseconds since the epoch: 0 if nothing is in it. `late` trades of each
    code came too late for their bars, and `unsealed` bytes of a folder cannot be read yet."""

    bars: dict[str, list[Kline]]
    source: str
    gaps: list[GapInfo]
    begin: int
    late: dict[str, int]
    unsealed: int


class Played(NamedTuple):
    """The events of a recording, and what there is to be said of it."""

    events: Iterator[Event]
    source: str
    gaps: list[GapInfo]
    begin: int
    unsealed: int = 0


def recorded_klines(
    path: Path,
    codes: Collection[str],
    kline_type: KlineType,
    start: int | None = None,
    end: int | None = None,
    *,
    instruments: Iterable[Path] = (),
) -> Recorded:
    """The bars that open from `start` on and before `end` (milliseconds since the epoch).

    `path` is the folder of a recording or of several, or a CSV file, plain or gzipped. `instruments` are
    files that say what codes of the user's own are. Raises InputError for a code that nothing is known of,
    and for what is no recording.
    """
    catalogue = load_catalogue(instruments)
    if unknown := [code for code in codes if code not in catalogue]:
        raise InputError(f"Nothing is known of {', '.join(unknown)}: say what it is with instruments=…")
    series = {code: Series(catalogue[code], Rules(by_clock=False)) for code in codes}
    bars: dict[str, dict[int, Kline]] = {code: {} for code in codes}

    def keep(closed: Iterable[Closed]) -> None:
        for bar, _ in closed:
            if bar.kline_type is kline_type:
                bars[bar.code][bar.time] = bar

    played = _played(path, codes, None if start is None else start - DAY, catalogue)
    for event in played.events:
        if isinstance(event, Trade):
            keep(series[event.code].add(event, turnover(catalogue[event.code], event)))
    for one in series.values():
        keep(one.advance(FOREVER))
    first, last = start or 0, FOREVER if end is None else end
    found = {
        code: [found[time] for time in sorted(found) if first <= time * 1000 < last]
        for code, found in bars.items()
    }
    gaps = [one for one in played.gaps if one.begin_ms < last and (one.end_ms is None or one.end_ms > first)]
    late = {code: one.late for code, one in series.items()}
    return Recorded(found, played.source, gaps[::-1], played.begin, late, played.unsealed)


def _played(path: Path, codes: Collection[str], first: int | None, catalogue: Catalogue) -> Played:
    """What was recorded of the codes, at least that from `first` on."""
    if is_folder(path):
        recordings = Recordings(path)
        contents = recordings.contents()
        gaps = [_told(one, codes) for one in contents.gaps]
        fit = _recorded(recordings, codes, first, catalogue)
        return Played(fit, ", ".join(contents.sources), gaps, contents.first_time, contents.unsealed_bytes)
    recording = Recording([path], catalogue, only=frozenset(codes))
    scan = recording.scan()
    lines = Csv(recording, catalogue, scan.traded, QuoteTrades.BID).moments()
    trades = (one for _, events in lines for one in events if not isinstance(one, Correction))
    return Played(trades, path.name, [], scan.first_time)


def _told(gap: Gap, codes: Collection[str]) -> GapInfo:
    """A gap of a recording, which lacks all codes, as those of a server are told."""
    begin, end = (None if at is None else int(at.timestamp() * 1000) for at in (gap.begin, gap.end))
    return GapInfo(gap.source, "", tuple(codes), begin or 0, end, gap.reason, None)


def _recorded(
    recordings: Recordings, codes: Collection[str], first: int | None, catalogue: Catalogue
) -> Iterator[Event]:
    """What is fit of a folder; trades as they were corrected."""
    corrected: defaultdict[Trade, list[Trade | None]] = defaultdict(list)
    if recordings.contents().corrections:
        for one in recordings.read(first, None, codes):
            if isinstance(one.event, Correction):
                corrected[one.event.was].append(one.event.became)
    for one in recordings.read(first, None, codes):
        event: Event | Correction | None = one.event
        if isinstance(event, Correction):
            continue
        while isinstance(event, Trade) and corrected.get(event):
            event = corrected[event].pop(0)
        if event is not None and event_fault(event, catalogue[event.code], Entrance.REPLAY) is None:
            yield event
