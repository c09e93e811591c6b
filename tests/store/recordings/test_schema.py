"""The files, as others read them: pyarrow and DuckDB."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import dataset, parquet

from tickwire.model import Book, Level, Trade
from tickwire.store.recordings import Recordings

from .events import A_DAY, BEGIN, Row, book, recorded, sealed_files, simulated, trade

DECIMAL = pa.decimal128(38, 12)
LEVELS = pa.list_(pa.struct([("price", DECIMAL), ("volume", DECIMAL)]))


def rows() -> list[Row]:
    """What the folder holds."""
    return simulated(20_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording")
    recorded(path, rows(), seal_bytes=2 << 20)
    return path


def trades(rows: list[Row]) -> list[Trade]:
    return [row[0] for row in rows if isinstance(row[0], Trade)]


def books(rows: list[Row]) -> list[Book]:
    return [row[0] for row in rows if isinstance(row[0], Book)]


def test_the_columns(folder: Path) -> None:
    by_kind = {path.relative_to(folder).parts[0]: path for path in sealed_files(folder)}
    common = [
        ("code", pa.string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("received", pa.timestamp("us", "UTC")),
        ("seq", pa.int64()),
    ]
    assert parquet.read_schema(by_kind["kind=trade"]).remove_metadata() == pa.schema(
        [
            *common,
            ("source_seq", pa.int64()),
            ("price", DECIMAL),
            ("volume", DECIMAL),
            ("turnover", DECIMAL),
            ("direction", pa.int8()),
            ("source", pa.string()),
            ("arrival", pa.int64()),
        ]
    )
    assert parquet.read_schema(by_kind["kind=book"]).remove_metadata() == pa.schema(
        [*common, ("bids", LEVELS), ("asks", LEVELS), ("source", pa.string()), ("arrival", pa.int64())]
    )


def test_every_file_is_zstd_and_sorted_by_code_then_by_arrival(folder: Path) -> None:
    for path in sealed_files(folder):
        file = parquet.ParquetFile(path, page_checksum_verification=True)
        table = file.read()
        keys = [*zip(table["code"].to_pylist(), table["arrival"].to_pylist(), strict=True)]
        assert keys == sorted(keys)
        group = file.metadata.row_group(0)
        assert {group.column(n).compression for n in range(group.num_columns)} == {"ZSTD"}
        sorting = [(group.column(one.column_index).path_in_schema, one) for one in group.sorting_columns]
        assert [(name, one.descending) for name, one in sorting] == [("code", False), ("arrival", False)]


def test_the_arrival_counts_all_events_of_all_files(folder: Path) -> None:
    found = sorted(
        arrival
        for path in sealed_files(folder)
        for arrival in parquet.read_table(path, columns=["arrival"], partitioning=None)["arrival"].to_pylist()
    )
    assert found == [*range(len(rows()))]


def test_pyarrow_reads_the_folder(folder: Path) -> None:
    found = dataset.dataset(folder / "kind=trade", format="parquet", partitioning="hive").to_table()
    assert len(found) == len(trades(rows()))
    assert Counter(found["market"].to_pylist()) == Counter(
        str(market) for event, market, *_ in rows() if isinstance(event, Trade)
    )
    assert {*found["source"].to_pylist()} == {"simulator"}
    one = found.filter(pa.compute.equal(found["arrival"], 5)).to_pylist()
    event, _, received, seq = rows()[5]
    if one:
        assert isinstance(event, Trade)
        assert one[0]["price"] == event.price
        assert one[0]["seq"] == seq
        assert one[0]["received"] == datetime.fromtimestamp(received / 1e6, UTC)
    whole = dataset.dataset(folder, format="parquet", partitioning="hive")
    assert whole.count_rows() == len(rows())


def test_duckdb_reads_the_same_sums(folder: Path) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT code, market, sum(price * 1), sum(volume), count(*), sum(turnover), max(source_seq),"
            " min(epoch_ms(time)), sum(direction)"
            " FROM read_parquet($path, hive_partitioning = true) GROUP BY ALL ORDER BY code",
            {"path": f"{folder}/kind=trade/**/*.parquet"},
        ).fetchall()
    expected = []
    markets = {row[0].code: row[1] for row in rows()}
    for code in sorted({event.code for event in trades(rows())}):
        mine = [event for event in trades(rows()) if event.code == code]
        expected.append(
            (
                code,
                str(markets[code]),
                sum((event.price for event in mine), Decimal(0)),
                sum((event.volume for event in mine), Decimal(0)),
                len(mine),
                sum((event.turnover for event in mine if event.turnover is not None), Decimal(0))
                if any(event.turnover is not None for event in mine)
                else None,
                max(event.source_seq for event in mine),
                min(event.time for event in mine),
                sum(event.direction for event in mine),
            )
        )
    assert found == expected


def test_duckdb_reads_the_levels_of_books_in_the_order_of_arrival(folder: Path) -> None:
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT code, bids, asks FROM read_parquet($path) ORDER BY arrival",
            {"path": f"{folder}/kind=book/**/*.parquet"},
        ).fetchall()
    assert len(found) == len(books(rows())) > 5_000
    for (code, *sides), event in zip(found, books(rows()), strict=True):
        assert code == event.code
        for side, levels in zip(sides, (event.bids, event.asks), strict=True):
            assert [Level(level["price"], level["volume"]) for level in side] == [*levels]


def test_the_date_is_that_of_the_source_s_time(tmp_path: Path) -> None:
    midnight = BEGIN // A_DAY * A_DAY
    rows = [trade(n, at=midnight + n) for n in (-1, 0, A_DAY - 1, A_DAY)] + [book(9, at=0)]
    recorded(tmp_path, rows)
    assert [day.date for day in Recordings(tmp_path).contents().days] == [
        date(1970, 1, 1),
        date(2026, 9, 3),
        date(2026, 9, 4),
        date(2026, 9, 5),
    ]
    (path,) = tmp_path.glob("kind=trade/market=crypto/date=2026-09-04/*.parquet")
    assert parquet.read_table(path, partitioning=None)["seq"].to_pylist() == [0, A_DAY - 1]
