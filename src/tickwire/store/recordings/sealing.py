"""Seals journals: what they hold becomes Parquet files, of which no reader ever sees a part.

Almost all of the time is spent in Arrow, without Python's lock: the event loop goes on meanwhile. The memory
that it takes is a few times `seal_bytes`, however long the journal is, since a longer one becomes several
segments.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...model import MAX_DECIMALS, Kind, Market
from . import journal, schema
from .folder import Folder, Partition, sync
from .footer import KEY, CodeNote, Footer
from .gaps import EPOCH, Stretch
from .journal import Damage, Head, Record
from .positions import advance, read_positions, write_positions
from .schema import ARRIVAL

PIECE = 4 << 20
"""Bytes of lines that are parsed at once."""
DAY = 86_400_000
"""Milliseconds."""
ROWS = {Kind.TRADE: 65_536, Kind.DEPTH: 8_192, Kind.CORRECTION: 65_536}
"""Rows of a row group: what a reader of one code reads beside that code."""
COUNTERS = ("time", "received", "seq", "source_seq", ARRIVAL)
"""Columns that mostly grow, and are kept as differences."""


@dataclass
class Sealed:
    """What came of a journal."""

    files: list[Path] = field(default_factory=list)
    bytes: int = 0
    last: int | None = None
    """The last event of the order that it held."""
    first_received: int = 0
    last_received: int = 0
    """When its first and last event were received, in microseconds."""
    unfit: int = 0
    """Events with values that the columns do not hold."""
    losses: list[Stretch] = field(default_factory=list)
    """Damaged stretches before the end."""
    lost_end: bool = False
    """Whether the end is damaged too: what was there is not known."""
    positions: dict[str, int] = field(default_factory=dict)
    """How far publishers came with it."""


def seal(path: Path, head: Head, folder: Folder, size: int) -> Sealed:
    """Makes Parquet files of a journal, a segment for each `size` bytes, and removes it.

    What is damaged is put aside. Raises OSError, after which the journal is as it was and nothing else is
    left.
    """
    sealed = Sealed()
    written: list[tuple[Path, Path]] = []
    shutil.rmtree(folder.sealing, ignore_errors=True)
    folder.sealing.mkdir()
    try:
        pile = _Pile(head)
        for record in _whole(path, head, folder, sealed):
            pile.add(record)
            if pile.size >= size:
                written += _write(pile, folder, sealed)
                pile = _Pile(head)
        if pile.size:
            written += _write(pile, folder, sealed)
        for temporary, _ in written:
            sync(temporary)
        for temporary, final in written:
            final.parent.mkdir(parents=True, exist_ok=True)
            sealed.bytes += temporary.stat().st_size
            temporary.replace(final)
            sealed.files.append(final)
        for parent in sorted({above for _, final in written for above in _above(final, folder)}):
            sync(parent)
        if sealed.positions:  # before the journal goes, which says them too
            positions = read_positions(folder.positions)
            advance(positions.publishers, sealed.positions)
            write_positions(folder.positions, positions)
    except BaseException:
        for final in sealed.files:
            final.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(folder.sealing, ignore_errors=True)
    path.unlink()
    return sealed


def _above(final: Path, folder: Folder) -> Iterator[Path]:
    """The folders whose names lead to a file."""
    for parent in final.parents:
        yield parent
        if parent == folder.path:
            return


def _whole(path: Path, head: Head, folder: Folder, sealed: Sealed) -> Iterator[Record]:
    """The records of a journal; notes in `sealed` what is missing, and puts damaged bytes aside."""
    received, following = head.began, head.first
    damaged = False
    for found in journal.read(path):
        if isinstance(found, Damage):
            damaged = True
            _put_aside(path, found, folder)
            continue
        if damaged:
            sealed.losses.append(Stretch(received, found.first_received, found.first - following))
            damaged = False
        advance(sealed.positions, found.positions)
        received, following = found.last_received, found.first + found.events
        if not found.events:
            continue
        if sealed.last is None:
            sealed.first_received = found.first_received
        sealed.last, sealed.last_received = following - 1, received
        yield found
    sealed.lost_end = damaged


def _put_aside(path: Path, damage: Damage, folder: Folder) -> None:
    folder.damaged.mkdir(exist_ok=True)
    aside = folder.damaged / f"{path.stem}-{damage.begin}.bytes"
    with path.open("rb") as source, aside.open("wb") as target:
        source.seek(damage.begin)
        left = damage.end - damage.begin
        while left and (some := source.read(min(left, PIECE))):
            target.write(some)
            left -= len(some)


class _Pile:
    """The events of a segment, as tables that grow piece by piece."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.size = self.unfit = 0
        self.first = self.last = -1
        self._lines: dict[Kind, list[bytes]] = {kind: [] for kind in ROWS}
        self._unparsed = 0
        self._tables: dict[Kind, list[pa.Table]] = {kind: [] for kind in ROWS}

    def add(self, record: Record) -> None:
        """Takes a record."""
        if self.first < 0:
            self.first = record.first
        self.last = record.first + record.events - 1
        self._lines[Kind.TRADE].append(record.trades)
        self._lines[Kind.DEPTH].append(record.books)
        self._lines[Kind.CORRECTION].append(record.corrections)
        size = len(record.trades) + len(record.books) + len(record.corrections)
        self.size += size
        self._unparsed += size
        if self._unparsed >= PIECE:
            self._parse()

    def take(self, kind: Kind) -> pa.Table:
        """All events of a kind, which are then no longer held here."""
        self._parse()
        return pa.concat_tables(self._tables.pop(kind))

    def _parse(self) -> None:
        if not self._unparsed:
            return
        for kind in ROWS:
            lines = b"".join(self._lines[kind])
            self._lines[kind].clear()
            table, unfit = schema.parse(kind, lines, self.head.source)
            self._tables[kind].append(table)
            self.unfit += unfit
        self._unparsed = 0


def _write(pile: _Pile, folder: Folder, sealed: Sealed) -> list[tuple[Path, Path]]:
    """Writes the files of a segment under temporary names; each with its name for good."""
    written = []
    for kind in ROWS:
        for partition, part in _partitions(kind, pile.take(kind)):
            final = folder.sealed(partition, pile.first, pile.last)
            temporary = folder.sealing / f"{str(partition).replace('/', ',')},{final.name}"
            written.append((temporary, final))
            _write_file(temporary, part, kind, pile.head)
    sealed.unfit += pile.unfit
    return written


def _partitions(kind: Kind, table: pa.Table) -> Iterator[tuple[Partition, pa.Table]]:
    """The table of each partition, sorted by code, then by order."""
    if not len(table):
        return
    days = pc.divide(table["time"].cast(pa.int64()), DAY)  # no time lies before the epoch
    # Each under the same name, so that the one before is let go of.
    table = table.append_column("day", days)
    table = table.combine_chunks()
    keys = [(name, "ascending") for name in ("market", "day", "code", ARRIVAL)]
    table = table.take(pc.sort_indices(table, sort_keys=keys))
    counts = table.group_by(["market", "day"], use_threads=False).aggregate([([], "count_all")])
    begin = 0
    for row in counts.sort_by([("market", "ascending"), ("day", "ascending")]).to_pylist():
        part = table.slice(begin, row["count_all"])
        begin += row["count_all"]
        day = (EPOCH + timedelta(days=row["day"])).date()
        yield Partition(kind, Market(row["market"]), day), part.drop_columns(["market", "day"])


def _write_file(path: Path, table: pa.Table, kind: Kind, head: Head) -> None:
    rows, names = ROWS[kind], table.schema.names
    note = msgspec.json.encode(_footer(table, kind, head))
    with parquet.ParquetWriter(
        path,
        table.schema.with_metadata({KEY: note}),
        compression="zstd",
        use_dictionary=[name for name in names if name not in COUNTERS],
        column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in COUNTERS},
        sorting_columns=parquet.SortingColumn.from_ordering(
            table.schema, [("code", "ascending"), (ARRIVAL, "ascending")]
        ),
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table, row_group_size=rows)


def _footer(table: pa.Table, kind: Kind, head: Head) -> Footer:
    times, received = (pc.min_max(table[name].cast(pa.int64())).as_py() for name in ("time", "received"))
    counts = table.group_by("code", use_threads=False).aggregate([([], "count_all")]).to_pydict()
    price, volume = _decimals(table, kind)
    return Footer(
        head.source,
        head.id,
        times["min"],
        times["max"],
        received["min"],
        received["max"],
        {
            code: CodeNote(count, price[code], volume[code])
            for code, count in zip(counts["code"], counts["count_all"], strict=True)
        },
    )


def _decimals(table: pa.Table, kind: Kind) -> tuple[dict[str, int], dict[str, int]]:
    """The most decimals of the prices and the volumes of each code."""
    found: tuple[defaultdict[str, int], defaultdict[str, int]] = defaultdict(int), defaultdict(int)
    for most, name in zip(found, ("price", "volume"), strict=True):
        if kind is not Kind.DEPTH:
            _note_decimals(most, table["code"], table[name])
            continue
        for side in ("bids", "asks"):
            codes = table["code"].take(pc.list_parent_indices(table[side]))
            _note_decimals(most, codes, pc.struct_field(pc.list_flatten(table[side]), name))
    return found


def _note_decimals(most: dict[str, int], codes: pa.ChunkedArray, amounts: pa.ChunkedArray) -> None:
    for digits in range(MAX_DECIMALS):
        rounded = pc.round(amounts, ndigits=digits, round_mode="towards_zero")
        longer = pc.not_equal(rounded, amounts)
        codes, amounts = codes.filter(longer), amounts.filter(longer)
        if not len(codes):
            return
        for code in codes.unique().to_pylist():
            most[code] = max(most[code], digits + 1)
