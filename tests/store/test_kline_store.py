"""What every store of bars promises; see tickwire.store.kline_store.KlineStore."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.errors import StoreError
from tickwire.model import Kline, KlineType
from tickwire.store import klines_of, sql_klines
from tickwire.store.kline_store import KlineStore

from ..stores import Place, opened

MINUTE, DAY = KlineType.MINUTE, KlineType.DAY
SOURCE = "simulator"


@pytest.fixture(params=["in a file", "in memory", "in PostgreSQL"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "in PostgreSQL":
        url: str = request.getfixturevalue("postgres").schema()
        return url
    return tmp_path / "bars.db" if request.param == "in a file" else None


@pytest.fixture
def store(place: Place) -> Iterator[KlineStore]:
    with opened(klines_of, place) as store:
        yield store


@pytest.fixture(scope="module", params=["in memory", "in PostgreSQL"])
def shared(request: pytest.FixtureRequest) -> Iterator[KlineStore]:
    """A store for many examples, each of which has sources of its own."""
    place = request.getfixturevalue("postgres").schema() if request.param == "in PostgreSQL" else None
    with opened(klines_of, place) as store:
        yield store


numbers = itertools.count()


def a_bar(time: int, code: str = "GOLD", kline_type: KlineType = MINUTE, price: str = "1.50") -> Kline:
    one = Decimal(price)
    return Kline(code, kline_type, time, one, one, one, one, Decimal(3), Decimal("4.5"), time * 1000, 7)


def times(bars: list[Kline]) -> list[int]:
    return [bar.time for bar in bars]


def test_a_bar_that_was_removed_and_a_note_without_a_value_go(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60), a_bar(120), a_bar(120, "BTCUSDT")], {"one": "1", "two": "2"})
    gone = msgspec.structs.replace(a_bar(60), removed=True)
    store.write(SOURCE, [gone, a_bar(180), gone], {"one": "", "three": "3"})
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=9)) == [120, 180]
    assert store.notes(SOURCE, "") == {"two": "2", "three": "3"}
    store.write(SOURCE, [gone, a_bar(60, price="2.50")])
    assert store.read(SOURCE, "GOLD", MINUTE, count=1, end=60) == [a_bar(60, price="2.50")]
    assert times(store.read(SOURCE, "BTCUSDT", MINUTE, count=9)) == [120]


def test_an_empty_store_has_nothing(store: KlineStore) -> None:
    assert store.read(SOURCE, "GOLD", MINUTE, count=500) == []
    assert store.span(SOURCE, "GOLD", MINUTE) is None
    assert store.prune(SOURCE, MINUTE, 10**9) == 0
    assert store.get(SOURCE, "alive") is None


def test_the_latest_come_ascending_whatever_order_they_were_written_in(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(time) for time in (180, 60, 240, 120)])
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=3)) == [120, 180, 240]
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=500)) == [60, 120, 180, 240]


def test_the_end_is_included(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(time) for time in (60, 120, 180)])
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=2, end=120)) == [60, 120]
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=2, end=119)) == [60]
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=2, end=59)) == []


def test_a_pager_that_asks_for_oldest_minus_one_meets_every_bar_once(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60 * n) for n in range(1257)])
    pages: list[int] = []
    end = None
    while page := store.read(SOURCE, "GOLD", MINUTE, count=500, end=end):
        pages = times(page) + pages
        end = page[0].time - 1
    assert pages == [60 * n for n in range(1257)]


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_below_one_gives_none(store: KlineStore, count: int) -> None:
    store.write(SOURCE, [a_bar(60)])
    assert store.read(SOURCE, "GOLD", MINUTE, count=count) == []


@pytest.mark.parametrize("end", [10**30, -(10**30)])
def test_no_number_is_too_large(store: KlineStore, end: int) -> None:
    store.write(SOURCE, [a_bar(60)])
    assert len(store.read(SOURCE, "GOLD", MINUTE, count=10**30, end=end)) == (end > 0)
    assert store.prune(SOURCE, MINUTE, end) == (end > 0)


def test_sources_codes_and_types_never_mix(store: KlineStore) -> None:
    store.write("a", [a_bar(60, price="1"), a_bar(60, "SILVER", price="2"), a_bar(0, kline_type=DAY)])
    store.write("b", [a_bar(60, price="3"), a_bar(120, price="3")])
    store.put("a", "alive", "1")
    assert store.read("a", "GOLD", MINUTE, count=9) == [a_bar(60, price="1")]
    assert store.read("a", "SILVER", MINUTE, count=9) == [a_bar(60, "SILVER", price="2")]
    assert store.read("a", "GOLD", DAY, count=9) == [a_bar(0, kline_type=DAY)]
    assert store.read("A", "GOLD", MINUTE, count=9) == []
    assert store.span("a", "GOLD", MINUTE) == (60, 60)
    assert store.span("b", "GOLD", MINUTE) == (60, 120)
    assert store.get("b", "alive") is None
    assert store.prune("a", MINUTE, 1000) == 2
    assert store.span("a", "GOLD", DAY) == (0, 0)
    assert store.span("b", "GOLD", MINUTE) == (60, 120)


def test_a_bar_takes_the_place_of_the_one_of_its_key(store: KlineStore) -> None:
    incomplete = msgspec.structs.replace(a_bar(60, price="9"), incomplete=True)
    store.write(SOURCE, [incomplete])
    assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [incomplete]
    store.write(SOURCE, [a_bar(60)])
    store.write(SOURCE, [a_bar(60)])
    assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]


def test_of_two_in_a_batch_the_later_stays(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60, price="2"), a_bar(0), a_bar(60, price="1")])
    assert store.read(SOURCE, "GOLD", MINUTE, count=1) == [a_bar(60, price="1")]


def test_all_of_a_batch_or_none(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60)])
    with pytest.raises((OverflowError, StoreError)):
        store.write(SOURCE, [a_bar(60, price="2"), a_bar(0, "NEW"), a_bar(2**63)])
    assert store.read(SOURCE, "GOLD", MINUTE, count=9) == [a_bar(60)]
    store.write(SOURCE, [a_bar(0, "NEW")])
    assert store.read(SOURCE, "NEW", MINUTE, count=9) == [a_bar(0, "NEW")]


def test_a_generator_that_fails_leaves_the_store_usable(store: KlineStore) -> None:
    def bars() -> Iterator[Kline]:
        yield a_bar(60)
        raise LookupError

    with pytest.raises(LookupError):
        store.write(SOURCE, bars())
    assert store.span(SOURCE, "GOLD", MINUTE) is None
    store.write(SOURCE, [a_bar(120)])
    assert store.span(SOURCE, "GOLD", MINUTE) == (120, 120)


def test_a_generator_may_read_the_store(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60)])
    store.write("copy", (bar for bar in store.read(SOURCE, "GOLD", MINUTE, count=9)))
    store.write("copy", iter(()))
    assert store.read("copy", "GOLD", MINUTE, count=9) == [a_bar(60)]


def test_restoring_gives_the_latest_of_each_type_of_each_code(store: KlineStore) -> None:
    bars = [
        a_bar(60 * n, code, kline_type)
        for n in range(5)
        for code in ("GOLD", "SILVER", "BTCUSDT")
        for kline_type in ((MINUTE, DAY) if code == "GOLD" else (MINUTE,))
    ]
    store.write(SOURCE, bars)
    store.write("other", [a_bar(9000)])
    assert store.restore(SOURCE, ["SILVER", "NONE", "GOLD"], 2) == {
        "SILVER": {MINUTE: [a_bar(180, "SILVER"), a_bar(240, "SILVER")]},
        "NONE": {},
        "GOLD": {kind: [a_bar(60 * n, "GOLD", kind) for n in (3, 4)] for kind in (MINUTE, DAY)},
    }
    assert store.restore(SOURCE, ["GOLD"], 0) == {"GOLD": {}}
    assert store.restore(SOURCE, [], 9) == {}


@pytest.mark.parametrize("step", [1, 3, 5, 100])
def test_pruning_takes_all_that_is_older_and_nothing_else(
    store: KlineStore, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(sql_klines, "PRUNE_STEP", step)
    store.write(SOURCE, [a_bar(60 * n, code) for n in range(10) for code in ("GOLD", "SILVER")])
    assert store.prune(SOURCE, MINUTE, 300) == 10
    assert times(store.read(SOURCE, "GOLD", MINUTE, count=99)) == [300, 360, 420, 480, 540]
    assert store.prune(SOURCE, MINUTE, 300) == 0
    assert store.prune(SOURCE, MINUTE, 10**9) == 10
    assert store.span(SOURCE, "SILVER", MINUTE) is None


def test_notes_are_kept_by_source_and_name(store: KlineStore) -> None:
    store.put(SOURCE, "alive", "1")
    store.put(SOURCE, "alive", "2")
    store.put(SOURCE, "past:黄金", "made\n'\"")
    assert store.get(SOURCE, "alive") == "2"
    assert store.get(SOURCE, "past:黄金") == "made\n'\""


def test_notes_are_found_by_what_their_names_begin_with(store: KlineStore) -> None:
    store.write(SOURCE, [], {"past:GOLD": "made", "past:%": "1", "past": "2", "pasta:x": "3", "Past:y": "4"})
    store.put("other", "past:SILVER", "5")
    assert store.notes(SOURCE, "past:") == {"past:GOLD": "made", "past:%": "1"}
    assert store.notes(SOURCE, "past:%") == {"past:%": "1"}
    assert store.notes(SOURCE, "past:GOLD!") == {}
    assert len(store.notes(SOURCE, "")) == 5


def test_notes_come_with_their_batch_or_not_at_all(store: KlineStore) -> None:
    store.write(SOURCE, [a_bar(60)], {"alive": "61", "past:GOLD": "made"})
    with pytest.raises((OverflowError, StoreError)):
        store.write(SOURCE, [a_bar(2**63)], {"alive": "99"})
    store.write(SOURCE, [], {"past:GOLD": "imported"})
    assert store.get(SOURCE, "alive") == "61"
    assert store.get(SOURCE, "past:GOLD") == "imported"


@pytest.mark.parametrize("code", ["", "700.HK", "黄金", "'; DROP TABLE kline; --", "a\nb", "%", "gold"])
def test_any_code_is_only_text(store: KlineStore, code: str) -> None:
    store.write(SOURCE, [a_bar(60, code), a_bar(0, "GOLD")])
    assert store.read(SOURCE, code, MINUTE, count=9) == [a_bar(60, code)]


def test_after_closing_it_says_so(place: Place) -> None:
    with opened(klines_of, place) as store:
        pass
    for use in (
        lambda: store.write(SOURCE, [a_bar(60)]),
        lambda: store.read(SOURCE, "GOLD", MINUTE, count=1),
        lambda: store.span(SOURCE, "GOLD", MINUTE),
        lambda: store.prune(SOURCE, MINUTE, 1),
        lambda: store.put(SOURCE, "a", "b"),
        lambda: store.get(SOURCE, "a"),
        lambda: store.restore(SOURCE, ["GOLD"], 1),
        lambda: store.notes(SOURCE, "a"),
    ):
        with pytest.raises(StoreError, match="closed"):
            use()


def test_readers_in_other_threads_see_whole_batches(store: KlineStore) -> None:
    """One thread replaces all bars of a code at once, again and again; no read shows two batches."""
    done = threading.Event()
    wrong: list[object] = []

    def write() -> None:
        try:
            for n in range(150):
                store.write(SOURCE, [a_bar(60 * k, price=str(n)) for k in range(20)])
        finally:
            done.set()

    def read() -> None:
        latest = Decimal(-1)
        while not done.is_set():
            bars = store.read(SOURCE, "GOLD", MINUTE, count=20)
            prices = {bar.close for bar in bars}
            if len(prices) > 1 or len(bars) not in (0, 20) or (prices and min(prices) < latest):
                wrong.append(prices)
            latest = max(prices, default=latest)
            store.put(SOURCE, "seen", str(latest))

    threads = [threading.Thread(target=run) for run in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert done.is_set()
    assert wrong == []
    assert store.read(SOURCE, "GOLD", MINUTE, count=1) == [a_bar(60 * 19, price="149")]


def test_what_a_write_has_left_the_next_read_sees(store: KlineStore) -> None:
    for n in range(50):
        store.write(SOURCE, [a_bar(60 * n)])
        assert times(store.read(SOURCE, "GOLD", MINUTE, count=1)) == [60 * n]


decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [
        Decimal(text)
        for text in ("0", "-0", "0.00", "0E+3", "1E+9", "9.5E-7", "100", "1.50", "1E-12", "9" * 80)
    ]
)
whole = st.integers(-(2**63), 2**63 - 1)
any_bar = st.builds(
    Kline,
    code=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    kline_type=st.sampled_from(KlineType),
    time=whole,
    open=decimals,
    high=decimals,
    low=decimals,
    close=decimals,
    volume=decimals,
    turnover=decimals,
    first=whole,
    last=whole,
    incomplete=st.booleans(),
)


def exactly(bar: Kline) -> tuple[object, ...]:
    """A bar so that 1.5 differs from 1.50."""
    return tuple(
        value.as_tuple() if isinstance(value, Decimal) else value for value in msgspec.structs.astuple(bar)
    )


@given(st.lists(any_bar, max_size=5))
def test_any_bar_comes_back_with_its_decimals_as_they_were(shared: KlineStore, bars: list[Kline]) -> None:
    source = f"any {next(numbers)}"
    shared.write(source, bars)
    for bar in {(bar.code, bar.kline_type, bar.time): bar for bar in bars}.values():
        (found,) = shared.read(source, bar.code, bar.kline_type, count=1, end=bar.time)
        assert exactly(found) == exactly(bar)
        assert type(found.kline_type) is KlineType


sources = st.sampled_from(["a", "b"])
types = st.sampled_from([MINUTE, DAY])
moments = st.integers(0, 12)
few_bars = st.lists(
    st.builds(a_bar, moments, st.sampled_from(["GOLD", "SILVER"]), types, st.integers(1, 99).map(str))
)
steps = st.one_of(
    st.tuples(st.just("write"), sources, few_bars),
    st.tuples(st.just("prune"), sources, types, moments),
    st.tuples(st.just("read"), sources, types, moments, st.integers(0, 8)),
    st.tuples(st.just("restore"), sources, st.integers(0, 8)),
)


@given(st.lists(steps, max_size=12), st.integers(1, 4))
def test_it_behaves_as_a_dict_would(
    shared: KlineStore, todo: list[tuple[object, ...]], prune_step: int
) -> None:
    store, example = shared, next(numbers)
    model: dict[tuple[str, KlineType, str, int], Kline] = {}

    def kept(source: str, kline_type: KlineType) -> list[Kline]:
        return [bar for (*key, _, _), bar in sorted(model.items()) if key == [source, kline_type]]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql_klines, "PRUNE_STEP", prune_step)
        patch.setattr(sql_klines, "PAUSE", 0)
        for kind, name, *more in todo:
            match (kind, f"{name} {example}", *more):
                case ("write", str(source), list(bars)):
                    store.write(source, bars)
                    model |= {(source, bar.kline_type, bar.code, bar.time): bar for bar in bars}
                case ("prune", str(source), KlineType() as kline_type, int(before)):
                    old = [bar for bar in kept(source, kline_type) if bar.time < before]
                    assert store.prune(source, kline_type, before) == len(old)
                    for bar in old:
                        del model[source, kline_type, bar.code, bar.time]
                case ("read", str(source), KlineType() as kline_type, int(end), int(count)):
                    for code in ("GOLD", "SILVER"):
                        of_code = [bar for bar in kept(source, kline_type) if bar.code == code]
                        until = [bar for bar in of_code if bar.time <= end]
                        latest = until[max(0, len(until) - count) :]
                        assert store.read(source, code, kline_type, count=count, end=end) == latest
                        assert store.read(source, code, kline_type, count=sys.maxsize) == of_code
                        span = (of_code[0].time, of_code[-1].time) if of_code else None
                        assert store.span(source, code, kline_type) == span
                case ("restore", str(source), int(count)):
                    expected: dict[str, dict[KlineType, list[Kline]]] = {"GOLD": {}, "SILVER": {}}
                    for kline_type in (MINUTE, DAY):
                        for code, by_type in expected.items():
                            of_code = [bar for bar in kept(source, kline_type) if bar.code == code]
                            if of_code and count:
                                by_type[kline_type] = of_code[-count:]
                    assert store.restore(source, ["GOLD", "SILVER"], count) == expected
                case _:
                    raise AssertionError(kind)
