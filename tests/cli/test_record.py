"""`tickwire record`: the real program on a real recording."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tickwire.cli.record import SHOWN_CODES

from .. import forks
from ..serving import program_environment
from ..store.recordings.events import A_DAY, BEGIN, book, recorded, sealed_files, simulated, trade

FAILED, WRONG = 1, 2


def info(*arguments: str | Path, status: int = 0) -> str:
    """What `tickwire record info` says."""
    env = program_environment(COLUMNS="200", NO_COLOR="1")
    done = forks.run("record", "info", *map(str, arguments), env=env)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if not status else done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "recording"
    yesterday = BEGIN - A_DAY
    recorded(path, [trade(1, at=yesterday), trade(2, at=yesterday), book(3, at=yesterday)])
    recorded(path, simulated(3_000))
    return path


def test_what_is_in_a_folder(folder: Path) -> None:
    said = info(folder)
    lines = said.splitlines()
    codes = Counter(row[0].code for row in simulated(3_000))
    assert f"of {len(codes)} codes from simulator" in lines[0]
    days = [line.split() for line in lines if line.startswith("2026-09-0") and ":" not in line]
    assert days[0][:5] == ["2026-09-03", "crypto", "2", "1", "1"]
    assert len(days) == 10
    assert sum(int(day[2].replace(",", "")) + int(day[3].replace(",", "")) for day in days) == 3_003
    ((busiest, _),) = codes.most_common(1)
    assert any(line.split()[:1] == [busiest] for line in lines)
    assert f"… and {len(codes) - SHOWN_CODES} more" in said
    gap = lines[lines.index(next(line for line in lines if line.startswith("GAP FROM"))) + 1]
    assert gap.startswith("2026-09-03 14:02:54.453017")
    assert gap.split()[-3:] == ["stopped", "simulator", "?"]
    assert "not sealed" not in said


def test_several_together(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    recorded(other, [trade(1), book(2)])
    found = json.loads(info(folder, str(other), "--json"))
    assert found["folders"] == [str(folder), str(other)]
    assert found["trades"] + found["books"] == 3_005
    assert json.loads(info(tmp_path, "--json")) == found | {"folders": [str(other), str(folder)]}


def test_the_same_as_json(folder: Path) -> None:
    found = json.loads(info(folder, "--json"))
    assert found["trades"] + found["books"] == 3_003
    assert found["days"][0] == {
        "date": "2026-09-03",
        "market": "crypto",
        "trades": 2,
        "books": 1,
        "codes": 1,
        "files": 2,
        "bytes": found["days"][0]["bytes"],
    }
    assert found["codes"]["BTCUSDT"]["market"] == "crypto"
    assert [gap["reason"] for gap in found["gaps"]] == ["stopped"]
    assert found["gaps"][0]["from"] == "2026-09-03T14:02:54.453017Z"
    assert found["bytes"] == sum(path.stat().st_size for path in sealed_files(folder))


def test_a_journal_and_damage_are_said(folder: Path) -> None:
    (folder / "_tickwire" / "000000000009999.journal").write_bytes(b"x" * 1_500)
    (folder / "_tickwire" / "damaged").mkdir()
    (folder / "_tickwire" / "damaged" / "some").write_bytes(b"x" * 20)
    said = info(folder)
    assert "1.5 kB are not sealed yet" in said
    assert "20 B could not be read" in said


def test_a_folder_without_anything_sealed(tmp_path: Path) -> None:
    recorded(tmp_path, [])
    assert info(tmp_path).startswith("Nothing is sealed in")
    assert json.loads(info(tmp_path, "--json"))["days"] == []


def test_what_is_no_recording(tmp_path: Path) -> None:
    assert info(tmp_path / "missing", status=FAILED).startswith("tickwire: There is no recording in")
    assert [*tmp_path.iterdir()] == []


def test_a_bad_file_is_named(folder: Path) -> None:
    path = sealed_files(folder)[3]
    path.write_bytes(path.read_bytes()[:50])
    said = info(folder, status=FAILED)
    assert str(path) in said
    assert said.count("\n") == 1


def test_without_pyarrow_one_line_names_the_command(folder: Path) -> None:
    program = (
        "import sys; sys.modules['pyarrow'] = None; sys.argv = ['tickwire', 'record', 'info', sys.argv[1]];"
        "from tickwire.__main__ import run; run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == FAILED
    assert done.stderr == "tickwire: Recordings need one more package: pip install 'tickwire[parquet]'.\n"
