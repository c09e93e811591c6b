"""Suspensions in the store: replaced, paged, resumed, kept apart by source."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tickwire.errors import StoreError
from tickwire.model import Kline, KlineType, Suspension, SuspensionList
from tickwire.store import SqliteFile, SuspensionStore, klines_of

from ..stores import Place, opened

SSE, NYSE, NASDAQ = SuspensionList
ENTERED, SIMULATOR = "", "simulator"


def a_suspension(
    symbol: str = "CLGN", publish_date: str = "2026-09-03", exchange: SuspensionList = NYSE, **fields: Any
) -> Suspension:
    return Suspension(exchange=exchange, symbol=symbol, publish_date=publish_date, **fields)


FULL = a_suspension(
    "MAGH",
    "2025-12-04 19:50:00",
    NASDAQ,
    symbol_name="沿浦 ü 😀",
    halt_reason=("T12 Halt; more", "", '"quoted"'),
    halt_date="2025-12-04",
    halt_time="19:50:00",
    halt_period="连续停牌",
    resume_date="-",
    resume_time="",
    source_exchange="NASDAQ",
    pause_threshold_price="145.50",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tickwire.db"


@pytest.fixture
def store(place: Place) -> Iterator[SuspensionStore]:
    with opened(SuspensionStore, place) as made:
        yield made


def symbols(store: SuspensionStore, exchange: SuspensionList = NYSE, *sources: str, **part: Any) -> list[str]:
    return [one.symbol for one in store.page(exchange, sources or (ENTERED,), **part)[1]]


def test_what_is_kept_comes_back_equal(store: SuspensionStore, place: Place) -> None:
    assert store.add(ENTERED, [FULL, a_suspension()]) == 2
    assert store.page(NASDAQ, [ENTERED]) == (1, [FULL])
    assert store.page(NYSE, [ENTERED]) == (1, [a_suspension()])
    assert store.page(SSE, [ENTERED]) == (0, [])
    with opened(SuspensionStore, place) as again:
        assert again.page(NASDAQ, [ENTERED]) == (1, [FULL])


def test_in_memory() -> None:
    with opened(SuspensionStore, None) as store:
        assert store.add(ENTERED, iter([FULL])) == 1
        assert store.page(NASDAQ, [ENTERED]) == (1, [FULL])


def test_one_of_the_same_announcement_is_replaced(store: SuspensionStore) -> None:
    assert store.add(ENTERED, [FULL]) == 1
    later = a_suspension(FULL.symbol, FULL.publish_date, NASDAQ, halt_reason=("other",))
    assert store.add(ENTERED, [later]) == 0
    assert store.page(NASDAQ, [ENTERED]) == (1, [later])


@pytest.mark.parametrize(
    "other",
    [
        a_suspension("CLGO"),
        a_suspension("clgn"),
        a_suspension(publish_date="2026-09-03 00:00:00"),
        a_suspension(exchange=NASDAQ),
    ],
)
def test_another_key_is_another_entry(store: SuspensionStore, other: Suspension) -> None:
    assert store.add(ENTERED, [a_suspension()]) == 1
    assert store.add(ENTERED, [other, a_suspension()]) == 1
    assert sum(store.page(one, [ENTERED])[0] for one in SuspensionList) == 2


def test_of_two_with_the_same_key_the_later_stays(store: SuspensionStore) -> None:
    first, second = a_suspension(halt_period="first"), a_suspension(halt_period="second")
    assert store.add(ENTERED, [first, a_suspension("X"), second]) == 2
    assert [one.halt_period for one in store.page(NYSE, [ENTERED])[1]] == [None, "second"]


def test_nothing_is_added(store: SuspensionStore) -> None:
    assert store.add(ENTERED, []) == 0
    assert store.page(NYSE, [ENTERED]) == (0, [])


def test_all_or_nothing(store: SuspensionStore) -> None:
    with pytest.raises(UnicodeEncodeError):  # was not checked
        store.add(ENTERED, [a_suspension("A"), a_suspension("\udcff")])
    assert store.page(NYSE, [ENTERED]) == (0, [])
    assert store.add(ENTERED, [a_suspension("A")]) == 1


def test_the_newest_announcement_is_first(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension("A", "2026-09-02"), a_suspension("B", "2026-09-03 09:00:00")])
    store.add(ENTERED, [a_suspension("C", "2026-09-03"), a_suspension("D", "2025-12-31 23:00:00")])
    store.add(ENTERED, [a_suspension("E", "2026-09-03")])
    assert symbols(store) == ["B", "E", "C", "A", "D"]
    dates = [one.publish_date for one in store.page(NYSE, [ENTERED])[1]]
    assert dates == sorted(dates, reverse=True)


def test_one_that_is_replaced_keeps_its_place(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension("A"), a_suspension("B")])
    store.add(ENTERED, [a_suspension("A")])
    assert symbols(store) == ["B", "A"]


def test_pages(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension(f"S{n}", f"2026-09-{30 - n}") for n in range(5)])
    assert symbols(store, limit=2) == ["S0", "S1"]
    assert symbols(store, offset=2, limit=2) == ["S2", "S3"]
    assert symbols(store, offset=4, limit=2) == ["S4"]
    assert symbols(store, offset=3) == ["S3", "S4"]
    for offset, limit in ((5, 2), (0, 0), (0, -1), (10**12, 1000), (10**30, 10**30)):
        assert store.page(NYSE, [ENTERED], offset=offset, limit=limit) == (5, [])
    assert store.page(NYSE, [ENTERED], limit=10**30)[0] == 5
    assert len(symbols(store, limit=10**30)) == 5


def test_sources_do_not_mix(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension("A"), a_suspension("B")])
    assert store.add(SIMULATOR, [a_suspension("A", halt_period="simulated"), a_suspension("C")]) == 2
    assert symbols(store) == ["B", "A"]
    assert symbols(store, NYSE, SIMULATOR) == ["C", "A"]
    assert store.page(NYSE, [SIMULATOR, ENTERED])[0] == 4
    assert symbols(store, NYSE, SIMULATOR, ENTERED, offset=1, limit=2) == ["A", "B"]
    assert store.page(NYSE, []) == (0, [])
    assert store.page(NYSE, ["other"]) == (0, [])


def test_clearing_a_source_leaves_the_others(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension("A"), FULL])
    store.add(SIMULATOR, [a_suspension("B"), FULL])
    store.clear(SIMULATOR)
    assert store.page(NYSE, [SIMULATOR]) == (0, [])
    assert store.page(NASDAQ, [SIMULATOR, ENTERED]) == (1, [FULL])
    assert symbols(store) == ["A"]


def resumed(store: SuspensionStore, source: str = ENTERED) -> list[tuple[str | None, str | None]]:
    return [(one.resume_date, one.resume_time) for one in store.page(NYSE, [source])[1]]


WHEN = ("2026-09-04", "09:00:00")


def test_resuming_writes_into_the_newest_open_entry(store: SuspensionStore) -> None:
    entries = [a_suspension(publish_date=f"2026-09-0{n}") for n in (1, 2, 3)]
    store.add(ENTERED, entries)
    assert store.resume(ENTERED, NYSE, "CLGN", *WHEN)
    assert resumed(store) == [WHEN, (None, None), (None, None)]
    assert store.resume(ENTERED, NYSE, "CLGN", "2026-09-05", "10:00:00")
    assert resumed(store) == [WHEN, ("2026-09-05", "10:00:00"), (None, None)]


def test_resuming_of_two_at_the_same_time_takes_the_one_added_last(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension("X"), a_suspension("CLGN"), a_suspension("Y")])
    assert store.resume(ENTERED, NYSE, "CLGN", *WHEN)
    assert [(one.symbol, one.resume_date) for one in store.page(NYSE, [ENTERED])[1]] == [
        ("Y", None),
        ("CLGN", WHEN[0]),
        ("X", None),
    ]


@pytest.mark.parametrize("unsaid", [None, "", "-"])
def test_what_says_nothing_is_open(store: SuspensionStore, unsaid: str | None) -> None:
    store.add(ENTERED, [a_suspension(resume_date=unsaid, resume_time=unsaid)])
    assert store.resume(ENTERED, NYSE, "CLGN", *WHEN)
    assert resumed(store) == [WHEN]
    assert not store.resume(ENTERED, NYSE, "CLGN", "2026-09-05", "10:00:00")
    assert resumed(store) == [WHEN]


def test_there_is_nothing_to_resume(store: SuspensionStore) -> None:
    store.add(ENTERED, [a_suspension()])
    store.add(SIMULATOR, [a_suspension("OTHER")])
    assert not store.resume(ENTERED, NYSE, "OTHER", *WHEN)
    assert not store.resume(ENTERED, NASDAQ, "CLGN", *WHEN)
    assert not store.resume(SIMULATOR, NYSE, "CLGN", *WHEN)
    assert resumed(store) == resumed(store, SIMULATOR) == [(None, None)]


def test_bars_lie_in_the_same_file(store: SuspensionStore, place: Place) -> None:
    store.add(ENTERED, [FULL])
    with opened(klines_of, place) as bars:
        bars.write(SIMULATOR, [Kline("GOLD", KlineType.MINUTE, 60, *[1] * 6)])  # type: ignore[arg-type]
        assert bars.span(SIMULATOR, "GOLD", KlineType.MINUTE) == (60, 60)
    assert store.page(NASDAQ, [ENTERED]) == (1, [FULL])


def test_another_connection_s_entry_is_seen_at_once(store: SuspensionStore, place: Place) -> None:
    assert store.page(NYSE, [ENTERED]) == (0, [])
    with opened(SuspensionStore, place) as other:
        other.add(ENTERED, [a_suspension()])
        assert store.page(NYSE, [ENTERED])[0] == 1
        store.clear(ENTERED)
        assert other.page(NYSE, [ENTERED]) == (0, [])


def test_many_threads(store: SuspensionStore) -> None:
    wrong: list[object] = []
    begin = threading.Barrier(8)

    def work(number: int) -> None:
        begin.wait()
        try:
            for n in range(25):
                store.add(ENTERED, [a_suspension(f"S{number}"), a_suspension(f"S{number}-{n}", "2026-09-02")])
                total, found = store.page(NYSE, [ENTERED])
                if total != len(found) or f"S{number}-{n}" not in {one.symbol for one in found}:
                    wrong.append((total, len(found)))
                if not store.resume(ENTERED, NYSE, f"S{number}-{n}", *WHEN):
                    wrong.append(n)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert store.page(NYSE, [ENTERED], limit=0) == (8 + 8 * 25, [])


def test_a_locked_file_is_told_of_and_can_still_be_read(path: Path) -> None:
    with opened(SuspensionStore, path, timeout=0.05) as store:
        store.add(ENTERED, [FULL])
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for write in (
                lambda: store.add(ENTERED, [a_suspension()]),
                lambda: store.resume(ENTERED, NASDAQ, FULL.symbol, *WHEN),
                lambda: store.clear(ENTERED),
            ):
                with pytest.raises(StoreError, match=r"tickwire\.db.*Another program"):
                    write()
            assert store.page(NASDAQ, [ENTERED]) == (1, [FULL])
            other.execute("ROLLBACK")
        assert store.add(ENTERED, [a_suspension()]) == 1


def test_a_closed_store_says_so(place: Place) -> None:
    with opened(SuspensionStore, place) as store:
        pass
    for use in (
        lambda: store.add(ENTERED, [FULL]),
        lambda: store.page(NYSE, [ENTERED]),
        lambda: store.resume(ENTERED, NYSE, "CLGN", *WHEN),
        lambda: store.clear(ENTERED),
    ):
        with pytest.raises(StoreError, match="closed"):
            use()


def test_a_list_that_there_is_not(store: SuspensionStore) -> None:
    store.add(ENTERED, [FULL])
    assert symbols(store, NASDAQ) == ["MAGH"]
    assert store.page("tse", [ENTERED]) == (0, [])


def test_a_page_needs_no_sorting(path: Path) -> None:
    """A long list is read in the order of the index."""
    SqliteFile(path).close()
    with closing(sqlite3.connect(path)) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT symbol FROM suspension WHERE exchange = ? AND source IN (?, ?) "
            "ORDER BY publish_date DESC, id DESC LIMIT 9",
            ("nyse", "", "simulator"),
        ).fetchall()
    assert "suspension_by_time" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
