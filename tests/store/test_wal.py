"""The log that a killed process left: what of it is damaged is told, and what is whole is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.store import SqliteFile, SqliteKlineStore

from .files import SOURCE, a_bar, whole
from .test_sqlite_file import times

WRITER = """
import sys
from pathlib import Path
from tickwire.store import SqliteFile, SqliteKlineStore
from tests.store.files import SOURCE, a_bar
file = SqliteFile(Path(sys.argv[1]))
with file.writing() as connection:
    pass
file._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
store = SqliteKlineStore(file)
for n in range(1, 41):
    store.write(SOURCE, [a_bar(60 * n)])
print("written", flush=True)
sys.stdin.readline()
"""
FRAME = 24 + 4096


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A database of 40 bars that all stand in its log, and the process that has it open."""
    path = tmp_path / "tickwire.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield path, process
        process.kill()


@pytest.fixture
def left(running: tuple[Path, subprocess.Popen[str]]) -> Path:
    """The database after the process was killed."""
    path, process = running
    process.kill()
    process.wait()
    return path


def opened(path: Path) -> tuple[list[int], list[dict[str, Any]]]:
    """The times of the bars that are there, and what the log says."""
    with capture_logs() as logs, closing(SqliteFile(path)) as file:
        found = times(SqliteKlineStore(file))
    return found, [dict(line) for line in logs]


def flip(place: int) -> Callable[[bytes], bytes]:
    def flipped(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[place] ^= 4
        return bytes(changed)

    return flipped


DAMAGE = {
    "a bit of the magic number": flip(0),
    "a bit of the header's salts": flip(17),
    "a bit of the header's checksum": flip(30),
    "a bit of the first frame": flip(32 + 24 + 99),
    "a bit of a frame's salts": flip(32 + 20 * FRAME + 9),
    "a bit in the middle": flip(32 + 20 * FRAME + 2000),
    "the last bit": flip(-1),
    "the last frame's salts": flip(-FRAME + 9),
    "zeros": lambda content: bytes(len(content)),
    "zeros from the middle on": lambda content: content[:40_000].ljust(len(content), b"\0"),
    "cut off in a frame": lambda content: content[:-100],
    "cut off between frames": lambda content: content[: -3 * FRAME],
    "cut off in the header": lambda content: content[:20],
    "cut off at once": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_is_lost_with_a_damaged_log_is_told_once(left: Path, damage: Callable[[bytes], bytes]) -> None:
    wal = left.with_name("tickwire.db-wal")
    content = damage(wal.read_bytes())
    wal.write_bytes(content)
    found, logs = opened(left)
    assert found == [60 * n for n in range(1, len(found) + 1)], "what stands before the damage is used"
    assert len(found) < 40
    (line,) = logs
    assert (line["log_level"], "write-ahead log" in line["event"]) == ("error", True)
    assert line["pages_used"] < line["pages_written"]
    assert (left.parent / line["kept_as"]).read_bytes() == content
    assert line["missing_from"] <= line["missing_to"]
    assert opened(left) == (found, [])
    assert whole(left)


@pytest.mark.parametrize(
    "damage",
    [flip(0), flip(32 + 20 * FRAME + 2000), lambda content: content[:-100]],
    ids=["in the header", "in a frame", "cut off"],
)
def test_damage_is_found_without_the_index_too(left: Path, damage: Callable[[bytes], bytes]) -> None:
    wal = left.with_name("tickwire.db-wal")
    wal.write_bytes(damage(wal.read_bytes()))
    left.with_name("tickwire.db-shm").unlink()
    assert [line["log_level"] for line in opened(left)[1]] == ["error"]


def test_a_log_that_was_removed_is_told(left: Path) -> None:
    left.with_name("tickwire.db-wal").unlink()
    found, logs = opened(left)
    assert (found, [line["log_level"] for line in logs]) == ([], ["error"])


@pytest.mark.parametrize("index", [True, False])
def test_a_whole_log_is_used_without_a_word(left: Path, index: bool) -> None:
    if not index:
        left.with_name("tickwire.db-shm").unlink()
    assert opened(left) == ([60 * n for n in range(1, 41)], [])


@pytest.mark.parametrize("index", [True, False])
def test_frames_of_an_older_log_behind_the_new_ones_are_no_damage(
    running: tuple[Path, subprocess.Popen[str]], index: bool
) -> None:
    path, process = running
    with closing(SqliteFile(path)) as file:
        file._writer.execute("PRAGMA wal_checkpoint(RESTART)")
        SqliteKlineStore(file).write(SOURCE, [a_bar(6000)])
        process.kill()
        process.wait()
        copy = path.with_name("copy.db")  # as this process would leave it if it were killed now
        for end in ("", "-wal", "-shm") if index else ("", "-wal"):
            copy.with_name(copy.name + end).write_bytes(path.with_name(path.name + end).read_bytes())
    assert opened(copy) == ([*(60 * n for n in range(1, 41)), 6000], [])


def test_a_log_that_is_in_use_is_left_alone(running: tuple[Path, subprocess.Popen[str]]) -> None:
    path, _ = running
    wal = path.with_name("tickwire.db-wal")
    with wal.open("ab") as file:
        file.write(wal.read_bytes()[-FRAME:-100])  # as if it were writing
    assert opened(path) == ([60 * n for n in range(1, 41)], [])
    assert wal.exists()
