"""What every store of bars promises; see tickwire.store.KlineStore."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.model import Kline, KlineType
from tickwire.store import KlineStore, SqliteKlineStore

MINUTE, HOUR = KlineType.MINUTE, KlineType.HOUR
Make = Callable[[Path], KlineStore]


def in_a_file(folder: Path) -> KlineStore:
    return SqliteKlineStore(folder / "bars.db")


def in_memory(_: Path) -> KlineStore:
    return SqliteKlineStore(None)


MAKERS = [in_a_file, in_memory]
every_store = pytest.mark.parametrize("make", MAKERS)


@pytest.fixture(params=MAKERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KlineStore]:
    made: KlineStore = request.param(tmp_path)
    yield made
    made.close()


def bar(
    time: int, price: str = "79317.70", *, code: str = "BTCUSDT", kline_type: KlineType = MINUTE
) -> Kline:
    value = Decimal(price)
    return Kline(code, kline_type, time, value, value, value, value, Decimal("0.50000"), Decimal("39658.85"))


def times(bars: Iterable[Kline]) -> list[int]:
    return [one.time for one in bars]


def written(one: Kline) -> tuple[str, ...]:
    """All of it as text, so that 1.5 and 1.50 differ."""
    return tuple(str(getattr(one, name)) for name in one.__struct_fields__)


# Writing and reading.
def test_an_empty_store_has_nothing(store: KlineStore) -> None:
    assert store.read("s", "BTCUSDT", MINUTE, count=10) == []
    assert store.read("s", "BTCUSDT", MINUTE, count=10, end=10**12) == []
    assert store.span("s", "BTCUSDT", MINUTE) is None
    assert store.prune("s", MINUTE, 10**12) == 0
    assert store.get("s", "note") is None


def test_every_field_comes_back_as_it_was(store: KlineStore) -> None:
    one = Kline(
        "700.HK",
        KlineType.DAY,
        1788451200,
        Decimal("600.500000"),
        Decimal("601.0"),
        Decimal("0.000000095"),
        Decimal("1E+3"),
        Decimal(0),
        Decimal("123456789012345678901234567890123456789.123456789012"),
        first=1788488970123,
        last=1788510000999,
        incomplete=True,
    )
    store.write("s", [one])
    (found,) = store.read("s", "700.HK", KlineType.DAY, count=1)
    assert found == one
    assert written(found) == written(one)
    assert type(found.incomplete) is bool
    assert type(found.kline_type) is KlineType


def test_bars_are_ascending_however_they_were_written(store: KlineStore) -> None:
    store.write("s", [bar(180), bar(60)])
    store.write("s", [bar(120), bar(0)])
    assert times(store.read("s", "BTCUSDT", MINUTE, count=10)) == [0, 60, 120, 180]
    assert store.span("s", "BTCUSDT", MINUTE) == (0, 180)


@pytest.mark.parametrize(
    ("count", "end", "expected"),
    [
        (10, None, [0, 60, 120, 240]),
        (4, None, [0, 60, 120, 240]),
        (3, None, [60, 120, 240]),
        (1, None, [240]),
        (0, None, []),
        (10, 240, [0, 60, 120, 240]),
        (10, 239, [0, 60, 120]),
        (2, 120, [60, 120]),  # the end is among them
        (2, 119, [0, 60]),
        (10, 0, [0]),
        (10, -1, []),
        (10, 2**53, [0, 60, 120, 240]),
    ],
)
def test_count_and_end(store: KlineStore, count: int, end: int | None, expected: list[int]) -> None:
    store.write("s", [bar(at) for at in (0, 60, 120, 240)])
    assert times(store.read("s", "BTCUSDT", MINUTE, count=count, end=end)) == expected


def test_a_later_bar_takes_the_place_of_an_earlier_one_of_its_time(store: KlineStore) -> None:
    store.write("s", [bar(0, "1"), bar(60, "2")])
    store.write("s", [bar(60, "3.0"), bar(120, "4"), bar(120, "5")])
    found = store.read("s", "BTCUSDT", MINUTE, count=10)
    assert [(one.time, str(one.close)) for one in found] == [(0, "1"), (60, "3.0"), (120, "5")]


def test_written_twice_is_written_once(store: KlineStore) -> None:
    bars = [bar(at, str(at + 1)) for at in range(0, 600, 60)]
    store.write("s", bars)
    store.write("s", bars)
    assert store.read("s", "BTCUSDT", MINUTE, count=100) == bars


def test_sources_codes_and_types_never_mix(store: KlineStore) -> None:
    kept = {
        (source, code, kline_type): bar(n * 60, str(n + 1), code=code, kline_type=kline_type)
        for n, (source, code, kline_type) in enumerate(
            (source, code, kline_type)
            for source in ("a", "b")
            for code in ("BTCUSDT", "btcusdt", "BTC")
            for kline_type in (MINUTE, HOUR)
        )
    }
    for (source, _, _), one in kept.items():
        store.write(source, [one])
    for (source, code, kline_type), one in kept.items():
        assert store.read(source, code, kline_type, count=100) == [one]
        assert store.span(source, code, kline_type) == (one.time, one.time)


def test_a_batch_may_be_empty_or_come_from_a_generator(store: KlineStore) -> None:
    store.write("s", [])
    store.write("s", (bar(at) for at in (0, 60)))
    assert times(store.read("s", "BTCUSDT", MINUTE, count=9)) == [0, 60]


def test_of_a_batch_that_breaks_nothing_is_kept_and_the_store_works_on(store: KlineStore) -> None:
    def broken() -> Iterator[Kline]:
        yield bar(0, code="NEW")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.write("s", broken())
    assert store.read("s", "NEW", MINUTE, count=9) == []
    store.write("s", [bar(60, code="NEW")])
    assert times(store.read("s", "NEW", MINUTE, count=9)) == [60]


# Letting go.
def test_prune_lets_go_of_older_bars_of_one_source_and_type(store: KlineStore) -> None:
    for source in ("a", "b"):
        store.write(source, [bar(at, code=code) for at in (0, 60, 120) for code in ("BTCUSDT", "GOLD")])
        store.write(source, [bar(0, kline_type=HOUR)])
    assert store.prune("a", MINUTE, 120) == 4
    assert store.prune("a", MINUTE, 120) == 0
    for code in ("BTCUSDT", "GOLD"):
        assert times(store.read("a", code, MINUTE, count=9)) == [120]
        assert store.span("a", code, MINUTE) == (120, 120)
        assert times(store.read("b", code, MINUTE, count=9)) == [0, 60, 120]
    assert times(store.read("a", "BTCUSDT", HOUR, count=9)) == [0]
    store.write("a", [bar(0)])  # what was let go may come again
    assert times(store.read("a", "BTCUSDT", MINUTE, count=9)) == [0, 120]


# Notes.
def test_a_note_is_kept_by_source_and_name_and_replaced(store: KlineStore) -> None:
    store.put("a", "alive", "1")
    store.put("a", "past:GOLD", "")
    store.put("b", "alive", "2")
    store.put("a", "alive", "3")
    found = {(source, name): store.get(source, name) for source in "ab" for name in ("alive", "past:GOLD")}
    assert found == {
        ("a", "alive"): "3",
        ("a", "past:GOLD"): "",
        ("b", "alive"): "2",
        ("b", "past:GOLD"): None,
    }


# Against a model.
decimals = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(0, 10**20), st.integers(0, 12)
)
bars = st.builds(
    Kline,
    st.sampled_from(["BTCUSDT", "GOLD"]),
    st.sampled_from([MINUTE, HOUR]),
    st.integers(0, 8).map(lambda n: n * 60),
    *[decimals] * 6,
    first=st.integers(0, 2**53),
    last=st.integers(0, 2**53),
    incomplete=st.booleans(),
)
sources = st.sampled_from(["a", "b"])
writes = st.tuples(st.just("write"), sources, st.lists(bars, max_size=6))
prunes = st.tuples(st.just("prune"), sources, st.tuples(st.sampled_from([MINUTE, HOUR]), st.integers(0, 500)))
reads = st.tuples(
    st.just("read"),
    sources,
    st.tuples(
        st.sampled_from(["BTCUSDT", "GOLD"]),
        st.sampled_from([MINUTE, HOUR]),
        st.integers(0, 10),
        st.none() | st.integers(-60, 600),
    ),
)


@every_store
@settings(max_examples=60, deadline=None)
@given(st.lists(writes | prunes | reads, max_size=12))
def test_it_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, make: Make, steps: list[tuple[str, str, object]]
) -> None:
    model: dict[tuple[str, str, KlineType, int], Kline] = {}
    store = make(tmp_path_factory.mktemp("model"))
    try:
        for step in steps:
            match step:
                case ("write", source, list(batch)):
                    store.write(source, batch)
                    model |= {(source, one.code, one.kline_type, one.time): one for one in batch}
                case ("prune", source, (KlineType() as kline_type, int(before))):
                    gone = [key for key in model if key[::2] == (source, kline_type) and key[3] < before]
                    assert store.prune(source, kline_type, before) == len(gone)
                    for key in gone:
                        del model[key]
                case ("read", source, (str(code), KlineType() as kline_type, int(count), end)):
                    assert end is None or isinstance(end, int)
                    held = sorted(key[3] for key in model if key[:3] == (source, code, kline_type))
                    latest = [at for at in held if end is None or at <= end]
                    chosen = latest[max(0, len(latest) - count) :]
                    expected = [model[source, code, kline_type, at] for at in chosen]
                    found = store.read(source, code, kline_type, count=count, end=end)
                    assert list(map(written, found)) == list(map(written, expected))
                    span = (held[0], held[-1]) if held else None
                    assert store.span(source, code, kline_type) == span
                case _:
                    raise AssertionError(step)
    finally:
        store.close()


# From several threads.
def test_two_threads_see_whole_batches_only(store: KlineStore) -> None:
    batches, size = 60, 40
    done = threading.Event()

    def write() -> None:
        try:
            for number in range(1, batches + 1):
                store.write("s", [bar(at * 60, str(number)) for at in range(size)])
                store.put("s", "number", str(number))
        finally:
            done.set()

    def read() -> int:
        looks = last = 0
        while True:
            ended = done.is_set()
            known = int(store.get("s", "number") or 0)
            found = store.read("s", "BTCUSDT", MINUTE, count=100)
            prices = {one.close for one in found}
            assert len(found) in (0, size)
            assert len(prices) <= 1, "a batch is half there"
            number = int(prices.pop()) if prices else 0
            assert number >= max(last, known)
            last = number
            looks += 1
            if ended:
                assert last == batches
                return looks

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        pool.submit(write).result(60)
        assert all(reader.result(60) > 1 for reader in readers)


def test_two_threads_write_at_once(store: KlineStore) -> None:
    def write(code: str) -> None:
        for at in range(50):
            store.write("s", [bar(at * 60, code=code), bar(at * 60, code=f"{code}{at}")])

    with ThreadPoolExecutor(4) as pool:
        for writing in [pool.submit(write, code) for code in ("A", "B", "C", "D")]:
            writing.result(60)
    for code in ("A", "B", "C", "D"):
        assert times(store.read("s", code, MINUTE, count=100)) == [at * 60 for at in range(50)]
        for at in range(50):
            assert times(store.read("s", f"{code}{at}", MINUTE, count=9)) == [at * 60]
