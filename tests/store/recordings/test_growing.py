"""Reading a recording that somebody writes on, across its sealing."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire.errors import InputError
from tickwire.model import Book, Correction, Kind, Level, Market, Trade
from tickwire.store.recordings import Growing, Recorded, Recorder, Span, Spans, Wanted
from tickwire.store.recordings.folder import Folder

from ...serving import until

AT = 1_788_529_064_027
BOOK = (Level(Decimal(1), Decimal(2)),), (Level(Decimal("2.5"), Decimal(3)),)


def event(number: int, dice: random.Random) -> Trade | Book | Correction:
    code, time = dice.choice(("GOLD", "BTCUSDT")), AT + number
    one = Trade(code, time, Decimal(number) / 4, Decimal(1), Decimal(7), 1, number)
    kind = dice.random()
    if kind < 0.3:
        return Book(code, time, *BOOK)
    return one if kind < 0.9 else Correction(code, time, one, None if kind < 0.95 else one, number, number)


def of(wanted: Wanted, one: Recorded) -> bool:
    kinds = {Trade: Kind.TRADE, Book: Kind.DEPTH, Correction: Kind.CORRECTION}
    return wanted.has(one) and (wanted.kinds is None or kinds[type(one.event)] in wanted.kinds)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(None, None, None),
        Wanted(AT + 200, AT + 1_500, {"GOLD"}),
        Wanted(None, None, {"GOLD"}, {Kind.TRADE}, after=700),
        Wanted(None, None, None, {Kind.DEPTH, Kind.CORRECTION}),
    ],
    ids=["all", "a stretch of a code", "trades after one", "books and corrections"],
)
async def test_each_event_is_read_once_and_in_order_while_it_is_written_and_sealed(
    tmp_path: Path, wanted: Wanted
) -> None:
    dice = random.Random(5)
    recorder = Recorder(tmp_path, "x", seal_bytes=15_000)
    growing, sent, found = Growing(Folder(tmp_path), wanted), [], []
    number = 0
    while number < 2_000:
        for _ in range(dice.randrange(1, 200)):
            number += 1
            one = Recorded(event(number, dice), number, number, Market.CRYPTO)
            sent.append(one)
            recorder.record(one.event, one.market, one.received, one.seq)
        if dice.random() < 0.5:
            await until(lambda: recorder.status().waiting == 0)
        reading = growing.events()
        for one in reading:
            found.append(one)
            if dice.random() < 0.001:  # it is left in the middle, and begun anew
                break
    recorder.close()
    found += growing.events()
    assert found == [one for one in sent if of(wanted, one)]
    assert len({file.first for file in Folder(tmp_path).files()}) > 3
    assert [*growing.events()] == []


def test_what_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "x")
    dice = random.Random(1)
    for number in range(1, 300):
        recorder.record(event(number, dice), Market.CRYPTO, number, number)
    recorder._flush(ending=True)
    ((_, journal),) = Folder(tmp_path).journals()
    content = journal.read_bytes()
    growing, seqs = Growing(Folder(tmp_path), Wanted(None, None, None)), []
    for size in range(len(content) // 7, len(content), len(content) // 7):
        journal.write_bytes(content[:size])
        seqs += [one.seq for one in growing.events()]
    assert 0 < len(seqs) < 300
    journal.write_bytes(content)
    seqs += [one.seq for one in growing.events()]
    assert seqs == [*range(1, 300)]
    recorder.close()


def test_what_is_let_go_of_meanwhile_is_passed_over(tmp_path: Path) -> None:
    for run in range(3):
        recorder = Recorder(tmp_path, "x")
        for number in range(run * 10, run * 10 + 10):
            one = Trade("GOLD", AT + number, Decimal(1), Decimal(1), Decimal(7))
            recorder.record(one, Market.METALS, number, number + 1)
        recorder.close()
    folder, gold = Folder(tmp_path), (Kind.TRADE, "GOLD")
    first, second, _ = (file.path for file in folder.files())
    reading = Growing(folder, Wanted(None, None, None)).events()
    assert next(reading).seq == 1
    second.unlink()
    assert [one.seq for one in reading] == [*range(2, 11), *range(21, 31)]
    spans, files = Spans([tmp_path]), folder.complete_files()
    first.unlink()
    spans.folders[0].complete_files = lambda: files  # type: ignore[method-assign]  # it was just there
    assert spans.of({gold}, {}).begin == AT + 20
    files[-1].path.write_bytes(b"damaged")
    spans = Spans([tmp_path])
    with pytest.raises(InputError):
        spans.of({gold}, {})
    with pytest.raises(InputError):
        next(Growing(folder, Wanted(None, None, None)).events())


def test_a_span_is_of_the_streams_that_are_asked_for(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a", "x")
    first: Any = Trade("GOLD", AT, Decimal("1.25"), Decimal(1), Decimal(1))
    for one, market in ((first, Market.METALS), (Book("BTCUSDT", AT + 5, *BOOK), Market.CRYPTO)):
        recorder.record(one, market, 1, 1)
    recorder.close()
    spans = Spans([tmp_path / "a", tmp_path])
    assert [folder.path for folder in spans.folders] == [tmp_path / "a"], "each once"
    gold, books = (Kind.TRADE, "GOLD"), (Kind.DEPTH, "BTCUSDT")
    assert spans.of({gold}, {}) == Span(AT, AT, frozenset({gold}), {"GOLD": (2, 0)})
    both = {"GOLD": (2, 0), "BTCUSDT": (1, 0)}
    assert spans.of({gold, books}, {}) == Span(AT, AT + 5, frozenset({gold, books}), both)
    assert spans.of({(Kind.TRADE, "BTCUSDT")}, {}) == Span(0, 0, frozenset(), {})
    more = Kind.TRADE, "ETHUSDT"
    found = spans.of({gold}, {more: AT + 9})
    assert (found.end, found.streams) == (AT + 9, frozenset({gold, more}))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("seed", range(6))
async def test_what_was_not_recorded_shows_before_the_event_that_follows(tmp_path: Path, seed: int) -> None:
    """Wherever it is: in a file, between two, in a journal, or between two readings."""
    dice = random.Random(seed)
    recorder = Recorder(tmp_path, "x", seal_bytes=15_000)
    growing = Growing(Folder(tmp_path), Wanted(AT + 300, None, None), finds_holes=True)
    seqs: dict[tuple[Kind, str], int] = {}
    missing: set[tuple[Kind, str]] = set()
    expected: dict[tuple[Kind, str], list[int]] = {}
    wanted_from: dict[tuple[Kind, str], int] = {}
    found: dict[tuple[Kind, str], list[int]] = {}

    def read() -> None:
        for _ in growing.events():
            pass
        for stream, some in growing.holes.items():
            found.setdefault(stream, []).extend(some)
        growing.holes.clear()

    kind_of_type = {Trade: Kind.TRADE, Book: Kind.DEPTH, Correction: Kind.CORRECTION}
    lost = 0
    for number in range(1, 3_000):
        one = event(number, dice)
        stream = kind_of_type[type(one)], one.code
        seqs[stream] = seq = seqs.get(stream, 1_000) + 1
        if one.time >= AT + 300:
            wanted_from.setdefault(stream, seq)
        if not lost and dice.random() < 0.005:
            lost = dice.randrange(1, 40)
        if lost:
            lost -= 1
            missing.add(stream)
            continue
        if stream in missing:
            missing.remove(stream)
            expected.setdefault(stream, []).append(seq)
        recorder.record(one, Market.CRYPTO, number, seq)
        if dice.random() < 0.01:
            await until(lambda: recorder.status().waiting == 0)
            read()
    recorder.close()
    read()
    assert sum(map(len, found.values())) > 20
    # Segments before all that is wanted need not be read, and so the first hole may be unknown.
    for stream, some in expected.items():
        wanted = [seq for seq in some if seq > wanted_from[stream]]
        assert [seq for seq in found.get(stream, []) if seq > wanted_from[stream]] in (wanted, wanted[1:])


def test_a_recording_that_goes_away_is_no_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "ticks", "x")
    for number in range(1, 11):
        one = Trade("GOLD", AT + number, Decimal(1), Decimal(1), Decimal(7))
        recorder.record(one, Market.METALS, number, number)
    recorder.close()
    folder, spans = Folder(tmp_path / "ticks"), Spans([tmp_path / "ticks"])
    reading = Growing(folder, Wanted(None, None, None))
    assert len([*reading.events()]) == 10
    (tmp_path / "ticks").rename(tmp_path / "elsewhere")
    for read in (lambda: [*reading.events()], lambda: spans.of({(Kind.TRADE, "GOLD")}, {})):
        with pytest.raises(InputError, match="removed or moved"):
            read()
    (tmp_path / "elsewhere").rename(tmp_path / "ticks")
    assert [*reading.events()] == []


def test_files_that_go_before_they_were_read_are_no_end(tmp_path: Path) -> None:
    for run in range(2):
        recorder = Recorder(tmp_path, "x")
        for number in range(run * 10 + 1, run * 10 + 11):
            one = Trade("GOLD", AT + number, Decimal(1), Decimal(1), Decimal(7))
            recorder.record(one, Market.METALS, number, number)
        recorder.close()
    reading = Growing(Folder(tmp_path), Wanted(None, None, None))
    events = reading.events()
    assert next(events).seq == 1
    for file in Folder(tmp_path).files():
        file.path.unlink()
    with pytest.raises(InputError, match="removed or moved"):
        assert [*events] == []
