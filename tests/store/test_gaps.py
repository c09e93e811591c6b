"""The gap ledger in the store: opened, ended, filled, paged, pruned."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import tickwire.store.gaps
from tickwire.errors import StartError, StoreError
from tickwire.model import Market, Suspension, SuspensionList
from tickwire.store import GapStore, SqliteFile, SuspensionStore
from tickwire.store.file import Dialect
from tickwire.store.gaps import AMONG, PAGE, Gap

from ..stores import Place, opened

ALLTICK, VENUE = "alltick", "exchange:binance"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickwire.db"


@pytest.fixture
def store(place: Place) -> Iterator[GapStore]:
    with opened(GapStore, place) as made:
        yield made


def begun(store: GapStore, begin: int, *codes: str, source: str = ALLTICK) -> int:
    return store.open(source, Market.CRYPTO, codes or ("BTCUSDT",), begin, f"at {begin}")


def begins(
    store: GapStore,
    codes: Collection[str] | None = None,
    begin: int = 0,
    end: int | None = None,
    limit: int = 100,
) -> list[int]:
    return [gap.begin for gap in store.page(codes, begin, end, limit)]


def test_a_gap_from_its_begin_to_its_filling(store: GapStore, place: Place) -> None:
    codes = ("BTCUSDT", 'we"ird\n', "黄金")
    number = store.open(ALLTICK, Market.CRYPTO, codes, 1000, 'connection lost: "é"')
    gap = Gap(number, ALLTICK, Market.CRYPTO, codes, 1000, None, 'connection lost: "é"', None)
    assert store.page(None, 0, None, 100) == store.open_gaps(ALLTICK) == [gap]
    store.end(number, 2000)
    assert store.open_gaps(ALLTICK) == []
    assert store.page(None, 0, None, 100) == [gap._replace(end=2000)]
    store.fill(number, 3000)
    with opened(GapStore, place) as again:
        (found,) = again.page(None, 0, None, 100)
        assert found == gap._replace(end=2000, filled=3000)
        assert type(found.market) is Market


def test_in_memory() -> None:
    with opened(GapStore, None) as store:
        begun(store, 1)
        assert begins(store) == [1]


def test_numbers_tell_gaps_apart(store: GapStore) -> None:
    first, second, other = begun(store, 5), begun(store, 5), begun(store, 7, source=VENUE)
    assert len({first, second, other}) == 3
    store.end(first, 9)
    assert [gap.number for gap in store.open_gaps(ALLTICK)] == [second]
    assert [gap.number for gap in store.open_gaps(VENUE)] == [other]
    assert store.open_gaps("script") == []


def test_what_an_earlier_run_left_open_is_found_oldest_first(store: GapStore, place: Place) -> None:
    for begin in (30, 10, 20):
        begun(store, begin)
    with opened(GapStore, place) as again:
        assert [gap.begin for gap in again.open_gaps(ALLTICK)] == [10, 20, 30]


def test_a_gap_that_is_not_there_is_neither_ended_nor_filled(store: GapStore) -> None:
    number = begun(store, 1)
    store.end(number + 1, 5)
    store.fill(number + 1, 5)
    (gap,) = store.page(None, 0, None, 100)
    assert (gap.end, gap.filled) == (None, None)


# Pages.
def test_the_newest_is_first_and_the_limit_is_kept(store: GapStore) -> None:
    numbers = [begun(store, begin) for begin in (10, 40, 20, 30, 40)]
    assert begins(store) == [40, 40, 30, 20, 10]
    assert [gap.number for gap in store.page(None, 0, None, 2)] == [numbers[4], numbers[1]]
    for limit in (0, -1):
        assert begins(store, limit=limit) == []


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        (0, None, [300, 200, 100]),
        (0, 100, []),
        (0, 101, [100]),
        (149, 200, [100]),
        (150, 200, []),
        (120, 130, [100]),
        (249, 251, [200]),
        (250, 300, []),
        (250, None, [300]),
        (10**15, None, [300]),  # it lasts
        (-(10**15), 10**15, [300, 200, 100]),
    ],
)
def test_a_page_holds_what_overlaps_its_time(
    store: GapStore, begin: int, end: int | None, found: list[int]
) -> None:
    for since, until in ((100, 150), (200, 250), (300, None)):
        number = begun(store, since)
        if until is not None:
            store.end(number, until)
    assert begins(store, None, begin, end) == found


def test_codes_narrow_a_page_and_each_gap(store: GapStore) -> None:
    begun(store, 1, "BTCUSDT", "ETHUSDT")
    begun(store, 2, "ETHUSDT", "GOLD")
    begun(store, 3, "GOLD")
    found = store.page(["ETHUSDT", "BTCUSDT"], 0, None, 100)
    assert [(gap.begin, gap.codes) for gap in found] == [(2, ("ETHUSDT",)), (1, ("BTCUSDT", "ETHUSDT"))]
    assert begins(store, ["BTCUSDT"], limit=1) == [1]  # the limit counts what is found
    assert begins(store, ["BTC"]) == begins(store, []) == []
    assert begins(store) == [3, 2, 1]


def test_the_oldest_go(store: GapStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickwire.store.gaps, "MOST", 3)
    numbers = [begun(store, begin) for begin in range(5)]
    assert begins(store) == [4, 3, 2]
    assert len(store.open_gaps(ALLTICK)) == 3
    store.end(numbers[0], 9)
    store.fill(numbers[0], 9)
    assert begins(store) == [4, 3, 2]
    assert begun(store, 9) not in numbers


# The file.
def test_suspensions_lie_in_the_same_file(store: GapStore, place: Place) -> None:
    begun(store, 1)
    with opened(SuspensionStore, place) as other:
        other.add("", [Suspension(exchange=SuspensionList.NYSE, symbol="X", publish_date="2026-09-03")])
        assert other.page(SuspensionList.NYSE, [""])[0] == 1
    assert begins(store) == [1]


def test_another_connection_s_gap_is_seen_at_once(store: GapStore, place: Place) -> None:
    with opened(GapStore, place) as other:
        number = begun(other, 1)
        assert begins(store) == [1]
        store.end(number, 2)
        assert other.open_gaps(ALLTICK) == []


def test_many_threads(store: GapStore) -> None:
    wrong: list[object] = []
    begin = threading.Barrier(8)

    def work(place: int) -> None:
        begin.wait()
        try:
            for n in range(25):
                number = begun(store, n, source=str(place))
                if [gap.number for gap in store.open_gaps(str(place))] != [number]:
                    wrong.append(number)
                store.end(number, n + 1)
                store.fill(number, n + 2)
                store.page(["BTCUSDT"], 0, None, 10)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    found = store.page(None, 0, None, 1000)
    assert len(found) == 200
    assert all(gap.end == gap.begin + 1 and gap.filled == gap.begin + 2 for gap in found)


def test_a_locked_file_is_told_of_and_can_still_be_read(path: Path) -> None:
    with opened(GapStore, path, timeout=0.05) as store:
        number = begun(store, 1)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for write in (
                lambda: begun(store, 2),
                lambda: store.end(number, 2),
                lambda: store.fill(number, 2),
            ):
                with pytest.raises(StoreError, match=r"tickwire\.db.*Another program"):
                    write()
            assert begins(store) == [1]
            other.execute("ROLLBACK")
        begun(store, 3)
        assert begins(store) == [3, 1]


def test_a_closed_store_says_so(place: Place) -> None:
    with opened(GapStore, place) as store:
        pass
    for use in (
        lambda: begun(store, 1),
        lambda: store.end(1, 1),
        lambda: store.fill(1, 1),
        lambda: store.open_gaps(ALLTICK),
        lambda: begins(store),
    ):
        with pytest.raises(StoreError, match="closed"):
            use()


def test_what_is_no_database_does_not_start(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 100)
    with pytest.raises(StartError, match=r"tickwire\.db"):
        SqliteFile(path)


def test_a_page_needs_no_sorting(path: Path) -> None:
    """A long ledger is read in the order of the index, only as far as the page goes."""
    SqliteFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        for among, asked in (("", ()), (AMONG[Dialect.SQLITE], ('["GOLD"]',))):
            query = f"EXPLAIN QUERY PLAN {PAGE.format(among=among)}"
            plan = str(connection.execute(query, (9, 1, 5, *asked)).fetchall())
            assert "gap_by_time" in plan
            assert "TEMP B-TREE" not in plan
