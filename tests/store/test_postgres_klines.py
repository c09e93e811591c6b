"""Bars in PostgreSQL: their partitions, and which of two writes stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import msgspec
import pytest

from tickwire.model import KlineType
from tickwire.store.postgres_file import PostgresFile
from tickwire.store.postgres_klines import PostgresKlineStore, month_of

from ..postgres import PATIENCE, Postgres
from .files import MINUTE, SOURCE, a_bar

DAY = KlineType.DAY


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.schema()


@pytest.fixture
def store(url: str) -> Iterator[PostgresKlineStore]:
    with closing(PostgresFile(url)) as file:
        yield PostgresKlineStore(file)


def at(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}Z").timestamp())


def test_bars_stand_by_month_and_those_of_days_together(
    postgres: Postgres, url: str, store: PostgresKlineStore
) -> None:
    times = [
        at(one) for one in ("2026-10-31T23:59", "2026-11-01T00:00", "2026-12-31T23:59", "2027-01-01T00:00")
    ]
    odd = [-60, at("1969-12-31T23:59"), at("2200-01-01T00:00"), 2**62]
    bars = [a_bar(one) for one in times + odd]
    days = [msgspec.structs.replace(bar, kline_type=DAY) for bar in bars]
    store.write(SOURCE, [*bars, *days])
    parts = postgres.ask(url, "SELECT tableoid::regclass::text, count(*) FROM kline GROUP BY 1 ORDER BY 1")
    assert parts == [
        ("kline_2026_10", 1),
        ("kline_2026_11", 1),
        ("kline_2026_12", 1),
        ("kline_2027_01", 1),
        ("kline_after", 2),
        ("kline_before", 1),
    ]
    expected = sorted({bar.time: bar for bar in bars}.values(), key=lambda bar: bar.time)
    assert store.read(SOURCE, "GOLD", MINUTE, count=99) == expected
    assert len(store.read(SOURCE, "GOLD", DAY, count=99)) == len(expected)
    assert month_of(at("2026-12-31T23:59")) == (2026, 12)


def test_two_that_make_a_month_at_once(postgres: Postgres, url: str) -> None:
    begin, wrong = threading.Barrier(4), []

    def write(name: str) -> None:
        try:
            with closing(PostgresFile(url)) as file:
                store = PostgresKlineStore(file)
                for month in range(1, 13):
                    begin.wait(PATIENCE)
                    store.write(name, [a_bar(int(datetime(2026, month, 1, tzinfo=UTC).timestamp()))])
        except BaseException as error:
            wrong.append(error)
            begin.abort()

    threads = [threading.Thread(target=write, args=(f"source {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert postgres.ask(url, "SELECT count(*), count(DISTINCT tableoid) FROM kline") == [(48, 12)]


def test_what_had_to_wait_takes_the_place_of_what_was_before_and_of_nothing_later(
    store: PostgresKlineStore,
) -> None:
    store.write(SOURCE, [a_bar(60), a_bar(120), a_bar(180)], {"place": "1", "other": "1"})
    waited = store.revision(SOURCE)
    store.write(SOURCE, [a_bar(120, price=2)], {"place": "2"})  # as another process does meanwhile
    gone = msgspec.structs.replace(a_bar(120), removed=True)
    late = [a_bar(60, price=3), gone, a_bar(240, price=3)]
    for _ in range(2):
        store.write(SOURCE, late, {"place": "3", "other": "3", "new": "3"}, waited)
        assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [
            a_bar(60, price=3),
            a_bar(120, price=2),
            a_bar(180),
            a_bar(240, price=3),
        ]
        assert store.notes(SOURCE, "") == {"place": "2", "other": "3", "new": "3"}
    store.write(SOURCE, [a_bar(120, price=4)], {"place": ""}, waited)
    assert store.get(SOURCE, "place") == "2"
    store.write(SOURCE, [a_bar(60, price=5)], {"place": ""})
    assert store.read(SOURCE, "GOLD", MINUTE, count=1, end=60) == [a_bar(60, price=5)]
    assert store.get(SOURCE, "place") is None


def test_each_source_has_numbers_of_its_own_that_survive(url: str, store: PostgresKlineStore) -> None:
    for _ in range(3):
        store.write(SOURCE, [a_bar(60)])
    store.write("other", [])
    with closing(PostgresFile(url)) as file:
        again = PostgresKlineStore(file)
        assert [again.revision(one) for one in (SOURCE, "other", "none")] == [3, 1, 0]


def test_a_database_that_was_made_anew_under_it_is_written_to(
    postgres: Postgres, url: str, store: PostgresKlineStore
) -> None:
    """Numbers of codes and months that it knew are there no more."""
    store.write(SOURCE, [a_bar(60)])
    (name,) = postgres.ask(url, "SELECT current_schema()::text")[0]
    postgres.ask(url, f"DROP SCHEMA {name} CASCADE")
    postgres.ask(url, f"CREATE SCHEMA {name}")
    PostgresFile(url).close()
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    postgres.ask(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608
    store.write(SOURCE, [a_bar(60), a_bar(120, "SILVER")])
    assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
    assert store.codes(SOURCE) == ["GOLD", "SILVER"]


def test_the_view_has_bars_as_numbers(postgres: Postgres, url: str, store: PostgresKlineStore) -> None:
    store.write(SOURCE, [a_bar(60, price=3), msgspec.structs.replace(a_bar(0, price=4), kline_type=DAY)])
    assert postgres.ask(url, "SELECT code, type, high * 2 FROM bars ORDER BY type") == [
        ("GOLD", 1, 6),
        ("GOLD", 8, 8),
    ]
