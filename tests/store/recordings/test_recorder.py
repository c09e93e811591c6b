"""Recording: what is put in comes out, in the same order, whatever happens in between."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.errors import StartError
from tickwire.model import Book, Direction, Event, Level, Market, Trade
from tickwire.store.recordings import GapReason, Recorder, Recordings
from tickwire.store.recordings import recorder as module
from tickwire.store.recordings.gaps import moment

from ..files import as_nobody
from .events import (
    BEGIN,
    Clock,
    Row,
    book,
    everything,
    journals,
    put,
    recorded,
    rows_of,
    sealed_files,
    simulated,
    trade,
    until,
)

SECOND = 1_000_000


# ---- the way through


def test_what_is_recorded_is_read_in_the_order_in_which_it_came(tmp_path: Path) -> None:
    rows = simulated(30_000)
    recorded(tmp_path, rows, seal_bytes=1 << 20)
    assert everything(tmp_path) == rows
    assert {market for _, market, *_ in rows} == set(Market)
    segments = {path.name for path in sealed_files(tmp_path)}
    assert len(segments) > 3
    assert journals(tmp_path) == []
    assert [path.name for path in (tmp_path / "_tickwire").iterdir()] == ["lock"]


def test_runs_follow_one_another(tmp_path: Path) -> None:
    rows = simulated(3_000)
    for begin in range(0, 3_000, 1_000):
        recorded(tmp_path, rows[begin : begin + 1_000])
    assert everything(tmp_path) == rows
    assert [gap.reason for gap in Recordings(tmp_path).contents().gaps] == [GapReason.STOPPED] * 2


def test_nothing_recorded_leaves_nothing(tmp_path: Path) -> None:
    recorded(tmp_path, [])
    recorded(tmp_path, [])
    assert everything(tmp_path) == []
    assert Recordings(tmp_path).contents().gaps == []


def test_the_zeros_at_the_end_of_a_number_go_and_its_value_stays(tmp_path: Path) -> None:
    row = trade(price="100.500000")
    recorded(tmp_path, [row])
    ((event, *_),) = everything(tmp_path)
    assert event == row[0]
    assert isinstance(event, Trade)
    assert str(event.price) == "100.5"
    recorded(tmp_path, [trade(price="1200")])
    assert str(everything(tmp_path)[1][0].price) == "1200"  # type: ignore[union-attr]


amounts = st.decimals(
    min_value=-(10**15), max_value=10**15, places=12, allow_nan=False, allow_infinity=False
) | st.sampled_from(
    [
        *map(
            Decimal, ("0", "-0", "1E-12", "9.5E-7", "1E+5", "0.000000000000", "999999999999999.999999999999")
        ),
        Decimal("9" * 26 + "." + "9" * 12),
    ]
)
codes = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=32
)
times = st.integers(0, 253_402_300_799_999)
large = st.integers(-(2**63), 2**63 - 1)
sides = st.lists(st.builds(Level, amounts, amounts), max_size=12).map(tuple)
events: st.SearchStrategy[Event] = st.builds(
    Trade,
    codes,
    times,
    amounts,
    amounts,
    st.none() | amounts,
    st.sampled_from([int(one) for one in Direction]),
    large,
) | st.builds(Book, codes, times, sides, sides)
any_rows = st.tuples(events, st.sampled_from([*Market]), st.integers(0, 2**62), large)


@settings(max_examples=40)
@given(st.lists(any_rows, max_size=20))
def test_all_that_the_model_can_say_is_kept_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("recording")
    recorded(folder, rows)
    assert everything(folder) == rows


@pytest.mark.parametrize(
    "change",
    [
        {"price": Decimal("NaN")},
        {"volume": Decimal("Infinity")},
        {"price": Decimal("1E-13")},
        {"turnover": Decimal(10) ** 26},
        {"volume": -(Decimal(10) ** 40)},
        {"time": -1},
        {"time": 253_402_300_800_000},
        {"source_seq": 2**63},
        {"direction": 200},
    ],
    ids=str,
)
def test_what_no_column_holds_is_left_out_and_listed(tmp_path: Path, change: dict[str, object]) -> None:
    rows = simulated(2_000)
    event, *rest = trade(5)
    bad: Row = (msgspec.structs.replace(event, **change), *rest)  # type: ignore[assignment]
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [bad, *rows[:999], bad, *rows[999:], bad])
    recorder.close()
    assert everything(tmp_path) == rows
    (gap,) = Recordings(tmp_path).contents().gaps
    assert (gap.reason, gap.events) == (GapReason.UNFIT, 3)
    status = recorder.status()
    assert (status.events, status.lost) == (2_000, 3)


def test_a_level_that_no_column_holds_takes_its_book_along(tmp_path: Path) -> None:
    event, *rest = book(1)
    bids = (Level(Decimal(1), Decimal("0.1234567890123")),)
    bad: Row = (msgspec.structs.replace(event, bids=bids), *rest)  # type: ignore[assignment]
    recorded(tmp_path, [bad, book(2), trade(3)])
    assert everything(tmp_path) == [book(2), trade(3)]


# ---- when it is sealed


def test_what_is_not_sealed_is_in_the_journal_and_not_read(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [trade(1)])
    until(lambda: recorder.status().journal_bytes)
    assert everything(tmp_path) == []
    assert Recordings(tmp_path).contents().unsealed_bytes == recorder.status().journal_bytes
    recorder.close()
    assert everything(tmp_path) == [trade(1)]


def test_a_reader_beside_a_recorder_sees_whole_segments(tmp_path: Path) -> None:
    rows = simulated(20_000)
    recorder = Recorder(tmp_path, "simulator", seal_seconds=0)
    upcoming = iter(rows)
    lengths = {0}

    def step() -> bool:
        put(recorder, islice(upcoming, 2))
        found = everything(tmp_path)
        assert found == rows[: len(found)]
        lengths.add(len(found))
        return len(lengths) == 6

    until(step)
    recorder.close()
    fed = len(rows) - len([*upcoming])
    assert everything(tmp_path) == rows[:fed]


# ---- too much


def test_what_comes_faster_than_it_is_written_is_counted_and_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 100)
    rows = [trade(number) for number in range(20_000)]
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, rows)
    status = recorder.status()
    assert status.lost > 10_000
    until(lambda: Recordings(tmp_path).contents().gaps)
    put(recorder, rows[:100])  # there is room again
    recorder.close()
    (gap,) = Recordings(tmp_path).contents().gaps
    assert (gap.reason, gap.events) == (GapReason.OVERRUN, status.lost)
    found = everything(tmp_path)
    assert len(found) == 20_100 - status.lost
    assert found[-100:] == rows[:100]


def test_levels_of_books_count_as_much_as_trades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_LIMIT", 1_000)
    monkeypatch.setattr(module, "FLUSH_EVERY", 60.0)  # nothing is written until the end
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [book(number, levels=50) for number in range(100)])
    assert recorder.status().lost == 90
    recorder.close()
    assert len(everything(tmp_path)) == 10


# ---- who may


def test_a_folder_has_one_recorder(tmp_path: Path) -> None:
    first = Recorder(tmp_path, "simulator")
    with pytest.raises(StartError, match=r"process \d+\) records into"):
        Recorder(tmp_path, "simulator")
    first.close()
    Recorder(tmp_path, "simulator").close()


def test_another_process_is_refused_until_the_first_is_gone_however_it_went(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tickwire.store.recordings import Recorder;"
        "Recorder(Path(sys.argv[1]), 'simulator'); print('on', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        while other.stdout.readline().strip() != "on":
            assert other.poll() is None
        with pytest.raises(StartError, match=f"process {other.pid}"):
            Recorder(tmp_path, "simulator")
        other.kill()
    recorded(tmp_path, [trade(1)])
    assert everything(tmp_path) == [trade(1)]


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(StartError, match="Cannot record into"):
        Recorder(path, "simulator")


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with as_nobody(), pytest.raises(StartError, match=r"Cannot record into .*: Permission denied"):
        Recorder(tmp_path / "recording", "simulator")
    tmp_path.chmod(0o755)


def test_without_pyarrow_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StartError, match=r"pip install 'tickwire\[parquet\]'"):
        Recorder(tmp_path, "simulator")
    assert [*tmp_path.iterdir()] == []


def test_nobody_pays_for_pyarrow_who_does_not_record() -> None:
    program = "import sys, tickwire.store.recordings; print('pyarrow' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_what_comes_after_the_end_is_counted_and_nothing_more(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "simulator")
    put(recorder, [trade(1)])
    recorder.close()
    put(recorder, [trade(2)])
    assert recorder.status().lost == 1
    assert everything(tmp_path) == [trade(1)]
    assert Recordings(tmp_path).contents().gaps == []


def test_a_pause_is_a_gap_from_the_last_event_to_the_next_start(tmp_path: Path) -> None:
    clock = Clock()
    recorded(tmp_path, [trade(1), trade(2, at=BEGIN + 100)], clock=clock)
    clock.now += 3600
    recorded(tmp_path, [trade(3)], clock=clock)
    (gap,) = Recordings(tmp_path).contents().gaps
    assert gap.reason is GapReason.STOPPED
    assert gap.begin == moment((BEGIN + 100) * 1000 + 17)
    assert gap.end == moment(int(clock.now * SECOND))


def test_rows_are_compared_by_all_that_they_hold(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1)])
    (one,) = Recordings(tmp_path).read()
    assert rows_of([one]) != [trade(2)]
    assert rows_of([one]) != [trade(1, price="79317.8")]
