"""Where sequences begin: after everything that was ever sent, whatever the clock says."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tickwire.errors import StartError
from tickwire.machine import REAL
from tickwire.store import DataDirectory, make_data_directory
from tickwire.store.epoch import EpochFile

from ..serving import OTHER_HTTP, program

NOW = 1_788_530_574_453_000
MARGIN = 60_000_000
YEAR_2255 = 9_007_000_000_000_000


def begun(folder: Path, now: int) -> int:
    """The epoch of a run that begins then, noted."""
    file = EpochFile(folder, REAL.disk)
    epoch = file.begin(now)
    file.note(epoch)
    return epoch


def test_the_first_epoch_is_the_time(tmp_path: Path) -> None:
    assert begun(tmp_path, NOW) == NOW


def test_an_epoch_on_a_clock_that_went_on_is_the_time(tmp_path: Path) -> None:
    begun(tmp_path, NOW)
    assert begun(tmp_path, NOW + 1) == NOW + 1


@pytest.mark.parametrize("back", [0, 1, 3_600_000_000])
def test_on_a_clock_that_was_set_back_the_epoch_lies_after_all_that_was_noted(
    tmp_path: Path, back: int
) -> None:
    begun(tmp_path, NOW - 1000)
    EpochFile(tmp_path, REAL.disk).note(NOW)
    # A run notes its time every half minute, so it may have come half a minute further than it noted.
    assert begun(tmp_path, NOW - back) >= NOW + 30_000_000


@settings(max_examples=100)
@given(st.lists(st.integers(0, 10**16), min_size=2, max_size=8))
def test_epochs_grow_whatever_the_clock_shows(
    tmp_path_factory: pytest.TempPathFactory, clocks: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("epoch")
    epochs = [begun(folder, now) for now in clocks]
    assert epochs == sorted(set(epochs))


@pytest.mark.parametrize("ahead", [1, 86_400_000_000 * 400])
def test_how_far_the_epoch_is_ahead_of_the_clock_is_said(tmp_path: Path, ahead: int) -> None:
    begun(tmp_path, NOW + ahead)
    with capture_logs() as logs:
        assert begun(tmp_path, NOW) > NOW + ahead
    (one,) = logs
    assert one.get("days") == (None if ahead == 1 else 400.0)


def test_a_clock_beyond_all_reason_is_not_believed(tmp_path: Path) -> None:
    begun(tmp_path, NOW)
    with capture_logs() as logs:
        assert NOW < begun(tmp_path, YEAR_2255) < NOW + 2 * MARGIN
    assert "not believed" in logs[0]["event"]
    assert begun(tmp_path, NOW + 3 * MARGIN) == NOW + 3 * MARGIN


def test_a_clock_beyond_all_reason_at_the_first_start_leaves_room(tmp_path: Path) -> None:
    assert begun(tmp_path, YEAR_2255) < NOW
    assert begun(tmp_path, NOW) == NOW


def test_the_number_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text(str(NOW), "ascii")
    assert begun(tmp_path, NOW - 5) > NOW
    assert {path.name for path in tmp_path.iterdir()} == {"epoch"}


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"soon", b"\xff\xfe", b"12.5", b"-5", b"9" * 20, b"9" * 400, b"9" * 5000, b"9" * 19),
        *(b"%d 00000000\n" % NOW, b"%d \n" % NOW, b"%d\x00" % NOW, b"%d" % 2**53),
        *(b"%d" % (NOW // 10**n) for n in range(1, 16)),
    ],
)
def test_one_that_is_damaged_is_set_aside_and_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "epoch").write_bytes(content)
    written = int((tmp_path / "epoch").stat().st_mtime * 1e6)
    with capture_logs() as logs:
        epoch = begun(tmp_path, NOW)
    assert max(NOW, written - 1) < epoch < 2**53, "above all that may have been given"
    (one,) = [one for one in logs if one["log_level"] == "error"]
    aside = tmp_path / one["kept_as"]
    assert re.fullmatch(r"epoch\.damaged-\d{8}T\d{6}Z", aside.name)
    assert aside.read_bytes() == content
    with capture_logs() as logs:
        assert begun(tmp_path, epoch - 1) > epoch
    assert [one["log_level"] for one in logs] == ["warning"]


@settings(max_examples=60)
@given(st.integers(0, 8 * 26 - 1))
def test_any_bit_that_flips_is_noticed(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    folder = tmp_path_factory.mktemp("epoch")
    begun(folder, NOW)
    content = bytearray((folder / "epoch").read_bytes())
    assert len(content) == 26
    content[bit // 8] ^= 1 << bit % 8
    (folder / "epoch").write_bytes(content)
    with capture_logs() as logs:
        assert begun(folder, NOW + 1) > NOW
    assert next(one["log_level"] for one in logs) == "error"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_no_file_is_set_aside(tmp_path: Path, make: Callable[[Path], None]) -> None:
    for _ in range(3):
        make(tmp_path / "epoch")
        epoch = begun(tmp_path, NOW)
        assert begun(tmp_path, NOW) > epoch > NOW
        (tmp_path / "epoch").unlink()
    assert len({path.name for path in tmp_path.iterdir()}) == 3


def test_the_folder_is_made_and_nothing_but_the_note_is_left_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_data_directory(folder)
    begun(folder, NOW)
    EpochFile(folder, REAL.disk).note(NOW + 5)
    assert [path.name for path in folder.iterdir()] == ["epoch"]
    assert (folder / "epoch").read_text().startswith(f"{NOW + 5} ")


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(StartError, match="--data-dir") as caught:
        make_data_directory(taken)
    assert str(taken) in str(caught.value)


def test_a_note_that_cannot_be_written_stops_nothing_and_is_told_once(tmp_path: Path) -> None:
    in_the_way = tmp_path / f"epoch.{os.getpid()}"
    in_the_way.mkdir()
    with closing(DataDirectory(tmp_path, REAL.disk)) as directory, capture_logs() as logs:
        assert directory.begin(NOW) == NOW
        directory.note(NOW + 1)
        in_the_way.rmdir()
        directory.note(NOW + 2)
        directory.note(NOW + 3)
    assert [one["log_level"] for one in logs] == ["error", "info"]
    assert "Is a directory" in logs[0]["reason"]


async def test_a_server_starts_on_a_damaged_one_and_serves_numbers_of_64_bits(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "epoch").write_text("9" * 400, "ascii")
    async with program(tmp_path, "--codes", "BTCUSDT") as server:
        asked = json.dumps({"data": {"symbol_list": [{"code": "BTCUSDT"}]}})
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            answer = await client.get(f"{OTHER_HTTP}/trade-tick", params={"token": "t", "query": asked})
        assert int(answer.json()["data"]["tick_list"][0]["seq"]) < 2**53
        assert server.log.count("epoch.damaged-") == 1
