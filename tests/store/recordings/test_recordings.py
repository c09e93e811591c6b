"""Reading: ranges, codes, damage, and memory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from tickwire.errors import InputError
from tickwire.store.recordings import Recordings

from .conftest import all_rows
from .events import A_DAY, BEGIN, Row, everything, recorded, rows_of, sealed_files, simulated, trade


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


MIDDLE = BEGIN + 2_406
"""The time of an event in the middle."""


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        (MIDDLE, None),
        (None, MIDDLE),
        (MIDDLE, MIDDLE + 1),
        (MIDDLE, MIDDLE),
        (MIDDLE + 1, MIDDLE + 2_000),
        (BEGIN + A_DAY, None),
        (None, BEGIN - A_DAY),
        (-(10**15), 10**15),
    ],
)
@pytest.mark.parametrize("codes", [None, {"BTCUSDT"}, {"BTCUSDT", "700.HK", "000001.SH"}, {"nothing"}, set()])
def test_a_range_of_time_and_codes(
    folder: Path, start: int | None, end: int | None, codes: set[str] | None
) -> None:
    assert all_rows()[6_000][0].time == MIDDLE
    expected = [
        row
        for row in all_rows()
        if (start is None or row[0].time >= start)
        and (end is None or row[0].time < end)
        and (codes is None or row[0].code in codes)
    ]
    assert rows_of(Recordings(folder).read(start, end, codes)) == expected


def test_market_and_date_of_a_code_with_odd_characters(tmp_path: Path) -> None:
    rows = [trade(1, code='"\\/%=é'[:5]), trade(2, code="a/../b"), trade(3, code="kind=book")]
    recorded(tmp_path, rows)
    assert everything(tmp_path) == rows
    assert rows_of(Recordings(tmp_path).read(codes=["a/../b"])) == rows[1:2]


# ---- what cannot be read


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="no recording in"):
            Recordings(path)


def test_without_pyarrow_the_command_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'tickwire\[parquet\]'"):
        Recordings(folder)


def test_a_file_cut_off_is_named(copy: Path) -> None:
    for length in (0, 3, 100, -1, -8, -200):
        path = sealed_files(copy)[7]
        content = path.read_bytes()
        path.write_bytes(content[:length])
        for call in (lambda: [*Recordings(copy).read()], lambda: Recordings(copy).contents()):
            with pytest.raises(InputError, match=path.name) as failure:
                call()
            assert "\n" not in str(failure.value)
        path.write_bytes(content)
    assert everything(copy) == all_rows()


def read_or_told(folder: Path) -> tuple[list[Row], str]:
    """What is read, or why it cannot be."""
    try:
        return everything(folder), ""
    except InputError as error:
        return [], str(error)


def test_a_flipped_bit_is_noticed_or_of_no_effect(copy: Path) -> None:
    other, *others, path = sorted(sealed_files(copy), key=lambda path: path.stat().st_size)
    for one in others:  # all are read each time, and two are enough to tell which is named
        one.unlink()
    whole = everything(copy)
    assert {*whole} < {*all_rows()}
    content = path.read_bytes()
    noticed = 0
    for place in range(4, len(content), len(content) // 30):
        changed = bytearray(content)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        found, said = read_or_told(copy)
        assert found == whole or (str(path) in said and str(other) not in said)
        noticed += found != whole
    assert noticed > 20


def test_a_file_of_somebody_else_is_named(copy: Path) -> None:
    path = sealed_files(copy)[0]
    other = path.with_name("part-0.parquet")
    shutil.copy(path, other)
    with pytest.raises(InputError, match=r"part-0\.parquet"):
        [*Recordings(copy).read()]
    other.unlink()
    parquet.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(InputError, match=path.name):
        [*Recordings(copy).read()]


def test_a_file_with_a_column_whose_name_is_no_text_is_named(copy: Path) -> None:
    path = sealed_files(copy)[7]
    path.write_bytes(path.read_bytes().replace(b"\x18\x04code", b"\x18\x04c\xc1de"))
    with pytest.raises(InputError, match=path.name):
        everything(copy)


def test_a_file_with_other_columns_is_named(copy: Path) -> None:
    path = sealed_files(copy)[0]
    metadata = parquet.read_metadata(path).metadata
    table = parquet.read_table(path, partitioning=None).drop_columns(["seq"])
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(InputError, match="columns"):
        [*Recordings(copy).read()]


def test_a_file_of_a_newer_version_is_named(copy: Path) -> None:
    path = sealed_files(copy)[0]
    table = parquet.read_table(path, partitioning=None)
    note = msgspec.json.decode(table.schema.metadata[b"tickwire"]) | {"version": 3}
    parquet.write_table(table.replace_schema_metadata({b"tickwire": msgspec.json.encode(note)}), path)
    with pytest.raises(InputError, match="newer Tickwire"):
        [*Recordings(copy).read()]


def test_a_file_that_goes_while_it_is_read_is_named(copy: Path) -> None:
    events = Recordings(copy).read()
    next(events)
    for path in sealed_files(copy):
        path.unlink()
    with pytest.raises(InputError, match=r"No such file"):
        list(events)


# ---- memory


MEMORY = """
import sys
from itertools import islice
from pathlib import Path
from tickwire.store.recordings import Recordings

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

recordings = Recordings(Path(sys.argv[1]))
for _ in islice(recordings.read(), 20_000):
    pass
before = memory("VmHWM")
count = sum(1 for _ in recordings.read())
print(count, memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    rows: list[Row] = simulated(20_000)
    for run in range(4):
        recorded(tmp_path, [(row[0], row[1], row[2] + run, row[3]) for row in rows], seal_bytes=2 << 20)
    program = [sys.executable, "-c", MEMORY, str(tmp_path)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    count, grown = map(int, said.split())
    assert count == 80_000
    # As objects they would take 150 MB.
    assert grown < 60_000, f"{grown} kB more for four times the events"
