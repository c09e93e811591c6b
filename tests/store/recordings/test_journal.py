"""The journal: cut off at every byte, and with every byte of it changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tickwire.store.recordings.journal import (
    MAGIC,
    MARK,
    Damage,
    Journal,
    Record,
    encode,
    read,
    read_head,
)

from .events import BEGIN, Row, book, trade

NOW = BEGIN * 1000
RECORDS: tuple[Sequence[Row], ...] = (
    [trade(1), book(2, levels=1), trade(3)],
    [trade(4)],
    [book(5, levels=2), book(6, levels=0)],
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "000000000000007.journal"


def written(path: Path, records: Sequence[Sequence[Row]] = RECORDS, *, first: int = 7) -> list[int]:
    """Writes a journal; returns where each record ends."""
    journal = Journal(path, "simulator", now=NOW, first=first)
    ends = []
    for rows in records:
        journal.append(encode(first, rows, {}, NOW))
        first += len(rows)
        ends.append(journal.size)
    journal.close()
    return ends


def test_what_is_written_is_read(path: Path) -> None:
    ends = written(path)
    assert path.stat().st_size == ends[-1]
    head = read_head(path)
    assert head is not None
    assert (head.source, head.first, head.began) == ("simulator", 7, NOW)
    first, second, third = read(path)
    assert isinstance(first, Record)
    assert (first.first, first.events, first.first_received) == (7, 3, BEGIN * 1000 + 17)
    assert [line["order"] for line in map(msgspec.json.decode, first.trades.splitlines())] == [7, 9]
    assert [line["order"] for line in map(msgspec.json.decode, first.books.splitlines())] == [8]
    assert second[:2] == (10, 1)
    assert third[:2] == (11, 2)


def test_cut_off_anywhere_it_gives_what_was_whole(path: Path) -> None:
    ends = written(path)
    whole, content = [*read(path)], path.read_bytes()
    begin = content.index(MARK)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        if length < begin:
            assert read_head(path) is None
            continue
        assert read_head(path) is not None
        count = sum(end <= length for end in ends)
        rest = [Damage([begin, *ends][count], length)] if length not in (begin, *ends) else []
        assert [*read(path)] == [*whole[:count], *rest]


def test_a_changed_byte_costs_the_record_that_it_is_in(path: Path) -> None:
    ends = written(path)
    whole, content = [*read(path)], path.read_bytes()
    begins = [content.index(MARK), *ends]
    for place in range(len(content)):
        for bit in (0x01, 0x80):
            changed = bytearray(content)
            changed[place] ^= bit
            path.write_bytes(changed)
            if place < begins[0]:
                assert read_head(path) is None
                continue
            (hit,) = (n for n, end in enumerate(ends) if begins[n] <= place < end)
            expected: list[Record | Damage] = [*whole]
            expected[hit] = Damage(begins[hit], ends[hit])
            assert [*read(path)] == expected


def test_bytes_that_were_never_written_are_damage(path: Path) -> None:
    # As a file system leaves them when the power goes: the length is there, what was in it is not.
    ends = written(path)
    whole = [*read(path)]
    with path.open("ab") as file:
        file.write(bytes(3 << 20))
    assert [*read(path)] == [*whole, Damage(ends[-1], ends[-1] + (3 << 20))]


def test_a_record_is_found_behind_any_damage(path: Path) -> None:
    for length in ((1 << 20) - 3, (1 << 20) - 1, 1 << 20, (2 << 20) + 1):
        path.unlink(missing_ok=True)
        (end,) = written(path, [[trade(1)]])
        journal_bytes = path.read_bytes()
        path.write_bytes(
            journal_bytes + MARK * (length // 4) + b"x" * (length % 4) + encode(8, [trade(2)], {}, NOW)
        )
        before, damage, after = read(path)
        assert isinstance(before, Record)
        assert damage == Damage(end, end + length)
        assert isinstance(after, Record)
        assert after.first == 8


def test_another_file_has_no_head(path: Path) -> None:
    begun = MAGIC + bytes(1000)  # as a power cut may leave it
    for content in (b"", b"x", b"\xffTICKWIRE", b"code,time\n" * 100, bytes(1000), begun):
        path.write_bytes(content)
        assert read_head(path) is None


def test_a_journal_that_was_moved_is_noticed(path: Path) -> None:
    journal = Journal(path, "simulator", now=NOW, first=0)
    journal.append(encode(0, [trade(1)], {}, NOW))
    journal.check()
    path.rename(path.with_suffix(".away"))
    with pytest.raises(FileNotFoundError):
        journal.check()
    path.write_bytes(b"another")
    with pytest.raises(FileNotFoundError):
        journal.check()
    journal.close()
