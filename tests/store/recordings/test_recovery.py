"""What a start makes of what an earlier run left."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tickwire.errors import StartError
from tickwire.store.recordings import Gap, GapReason, Recorder, Recordings
from tickwire.store.recordings.folder import Folder
from tickwire.store.recordings.gaps import moment
from tickwire.store.recordings.journal import HEAD, MAGIC, MARK, VERSION, Head, Journal, encode, read_head
from tickwire.store.recordings.sealing import seal

from .events import NOW, Row, everything, gaps, journals, recorded, sealed_files, simulated, started, trade


def left(folder: Path, rows: list[Row], *, first: int = 0, each: int = 10) -> Path:
    """A journal as one leaves it that is killed, with a record for so many events each."""
    names = Folder(folder)
    names.own.mkdir(parents=True, exist_ok=True)
    journal = Journal(names.journal(first), "simulator", now=rows[0][2], first=first)
    for begin in range(0, len(rows), each):
        journal.append(encode(first + begin, rows[begin : begin + each], {}, NOW))
    journal.close()
    return journal.path


def test_a_whole_journal_is_sealed_and_the_order_goes_on(tmp_path: Path) -> None:
    rows = simulated(1_000)
    left(tmp_path, rows[:500])
    now = rows[500][2]
    recorded(tmp_path, rows[500:], clock=lambda: now / 1e6)
    assert everything(tmp_path) == rows
    assert journals(tmp_path) == []
    assert gaps(tmp_path) == [
        Gap(GapReason.BROKEN_OFF, moment(rows[499][2]), moment(now), source="simulator")
    ]


def test_several_journals_are_sealed_in_their_order(tmp_path: Path) -> None:
    rows = simulated(300)
    left(tmp_path, rows[:100])
    left(tmp_path, rows[100:200], first=100)
    left(tmp_path, rows[200:], first=200)
    started(tmp_path)
    assert everything(tmp_path) == rows
    assert [gap.reason for gap in gaps(tmp_path)] == [GapReason.BROKEN_OFF]


def test_a_long_journal_becomes_several_segments(tmp_path: Path) -> None:
    rows = simulated(5_000)
    left(tmp_path, rows, each=100)
    Recorder(tmp_path, "simulator", seal_bytes=200_000).close()
    assert everything(tmp_path) == rows
    assert len({path.name for path in sealed_files(tmp_path)}) > 3


@pytest.mark.parametrize("before_end", [1, 7, 23, 200, 1_999])
def test_a_torn_journal_is_sealed_up_to_its_last_whole_record(tmp_path: Path, before_end: int) -> None:
    rows = simulated(100)
    path = left(tmp_path, rows)
    content = path.read_bytes()[:-before_end]
    path.write_bytes(content)
    started(tmp_path, NOW + 10**9)
    found = everything(tmp_path)
    assert found == rows[: len(found)]
    assert len(found) % 10 == 0
    assert 90 - before_end // 200 * 10 <= len(found) <= 90
    (gap,) = gaps(tmp_path)
    assert gap == Gap(
        GapReason.DAMAGED, moment(rows[len(found) - 1][2]), moment(NOW + 10**9), source="simulator"
    )
    (aside,) = (tmp_path / "_tickwire" / "damaged").iterdir()
    assert content.endswith(aside.read_bytes())
    assert Recordings(tmp_path).contents().damaged_bytes == aside.stat().st_size > 0


def test_damage_in_the_middle_costs_what_it_hit(tmp_path: Path) -> None:
    rows = simulated(100)
    path = left(tmp_path, rows)
    content = bytearray(path.read_bytes())
    marks = [n for n in range(len(content)) if content.startswith(MARK, n)]
    content[marks[3] + 50] ^= 4
    content[marks[4] + 90] ^= 4
    content[marks[7] + 1] ^= 4
    path.write_bytes(content)
    started(tmp_path)
    assert everything(tmp_path) == [*rows[:30], *rows[50:70], *rows[80:]]
    assert [(gap.reason, gap.begin, gap.end, gap.events) for gap in gaps(tmp_path)][:2] == [
        (GapReason.DAMAGED, moment(rows[29][2]), moment(rows[50][2]), 20),
        (GapReason.DAMAGED, moment(rows[69][2]), moment(rows[80][2]), 10),
    ]
    assert gaps(tmp_path)[2].reason is GapReason.BROKEN_OFF
    aside = sorted((tmp_path / "_tickwire" / "damaged").iterdir())
    assert {path.read_bytes() for path in aside} == {
        bytes(content[marks[3] : marks[5]]),
        bytes(content[marks[7] : marks[8]]),
    }


def test_a_journal_without_a_head_is_set_aside(tmp_path: Path) -> None:
    rows = simulated(100)
    recorded(tmp_path, rows)
    path = left(tmp_path, rows, first=100)
    content = b"\0" * 40 + path.read_bytes()[40:]
    path.write_bytes(content)
    started(tmp_path, NOW + 10**9)
    assert everything(tmp_path) == rows
    assert gaps(tmp_path) == [
        Gap(GapReason.DAMAGED, moment(rows[-1][2]), moment(NOW + 10**9), source="simulator")
    ]
    assert (tmp_path / "_tickwire" / "damaged" / path.name).read_bytes() == content


def test_damage_at_the_end_of_one_before_the_last_is_listed_too(tmp_path: Path) -> None:
    rows = simulated(200)
    first = left(tmp_path, rows[:100])
    first.write_bytes(first.read_bytes()[:-1])
    left(tmp_path, rows[100:], first=100)
    started(tmp_path, NOW + 10**9)
    assert everything(tmp_path) == [*rows[:90], *rows[100:]]
    assert [(gap.reason, gap.begin) for gap in gaps(tmp_path)] == [
        (GapReason.DAMAGED, moment(rows[89][2])),
        (GapReason.BROKEN_OFF, moment(rows[199][2])),
    ]


def test_an_empty_journal_is_nothing(tmp_path: Path) -> None:
    names = Folder(tmp_path)
    names.own.mkdir()
    names.journal(0).touch()
    recorded(tmp_path, [trade(1)])
    assert everything(tmp_path) == [trade(1)]
    assert not names.damaged.exists()


def test_a_sealing_that_was_not_finished_is_begun_again(tmp_path: Path) -> None:
    rows = simulated(1_000)
    path = left(tmp_path, rows[:900])
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    names, head = Folder(tmp_path), read_head(path)
    assert head is not None
    # Sealed with another size, so under other names; then killed before the journal was removed.
    seal(path, head, names, 30_000)
    shutil.move(copy, path)
    for file in sealed_files(tmp_path)[::3]:
        file.unlink()
    assert everything(tmp_path) == []
    recorded(tmp_path, rows[900:])
    assert everything(tmp_path) == rows


def test_files_that_were_being_written_are_removed(tmp_path: Path) -> None:
    names = Folder(tmp_path)
    names.sealing.mkdir(parents=True)
    (names.sealing / "half").write_bytes(b"PAR1")
    left(tmp_path, [trade(1)])
    started(tmp_path)
    assert not names.sealing.exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    recorded(tmp_path / "other", simulated(50))
    kept = []
    for file in sealed_files(tmp_path / "other"):
        target = tmp_path / "mine" / file.relative_to(tmp_path / "other")
        target.parent.mkdir(parents=True)
        shutil.copy(file, target)
        kept.append(target)
    left(tmp_path / "mine", simulated(20))
    started(tmp_path / "mine")
    assert all(path.exists() for path in kept)


def test_a_journal_of_a_newer_version_stops_the_start(tmp_path: Path) -> None:
    path = left(tmp_path, [trade(1)])
    text = msgspec.json.encode(Head("simulator", 0, NOW, version=VERSION + 1))
    path.write_bytes(MAGIC + HEAD.pack(zlib.crc32(text), len(text)) + text)
    for _ in range(2):  # the second time it is not that somebody holds the lock
        with pytest.raises(StartError, match="newer Tickwire"):
            Recorder(tmp_path, "simulator")
    assert path.exists()


Damaged = Callable[[bytes], bytes]


@pytest.mark.parametrize("change", [lambda content: content[: len(content) // 2], lambda _: b""])
def test_a_sealed_file_that_is_damaged_does_not_stop_the_start(tmp_path: Path, change: Damaged) -> None:
    recorded(tmp_path, [trade(1)])
    (path,) = sealed_files(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    recorded(tmp_path, [trade(2)])
    path.unlink()
    assert everything(tmp_path) == [trade(2)]


def test_a_run_that_broke_off_without_a_journal_is_not_one_that_ended(tmp_path: Path) -> None:
    recorded(tmp_path, [trade(1)])
    Folder(tmp_path).lock.write_text("4711")  # as a killed one leaves it
    started(tmp_path)
    started(tmp_path)
    assert [gap.reason for gap in gaps(tmp_path)] == [GapReason.BROKEN_OFF, GapReason.STOPPED]


@pytest.mark.parametrize(("mark", "reason"), [("", GapReason.STOPPED), ("4711", GapReason.BROKEN_OFF)])
def test_a_start_that_fails_does_not_hide_how_the_run_before_ended(
    tmp_path: Path, mark: str, reason: GapReason
) -> None:
    recorded(tmp_path, [trade(1)])
    newer = left(tmp_path, [trade(2)], first=1)
    text = msgspec.json.encode(Head("simulator", 1, NOW, version=VERSION + 1))
    newer.write_bytes(MAGIC + HEAD.pack(zlib.crc32(text), len(text)) + text)
    Folder(tmp_path).lock.write_text(mark)
    with pytest.raises(StartError):
        Recorder(tmp_path, "simulator")
    newer.unlink()
    started(tmp_path)
    assert [gap.reason for gap in gaps(tmp_path)] == [reason]
