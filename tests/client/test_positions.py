"""Files of positions: what they hold, and what is none of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tickwire import Position, PositionsError, load_positions, save_positions
from tickwire.client import positions as module
from tickwire.model import Kind

T0 = 1_788_529_064_027


def test_files_of_positions(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    positions = [Position(Kind.TRADE, "GOLD", 7, 9, "", T0), Position(Kind.KLINE, "GOLD", 7, 8, "1h")]
    assert load_positions(path) == []
    save_positions(path, positions)
    assert load_positions(path) == positions
    assert json.loads(path.read_text())["version"] == 1
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    whole = path.read_text()
    for text, words in {
        whole[:-20]: "damaged",
        "{}": "holds no positions",
        "\xff": "holds no positions",
        whole.replace('"version": 1', '"version": 2'): "another version",
        whole.replace('"1h"', '"3h"'): "damaged",
        whole.replace('"trade"', '"deal"'): "damaged",
    }.items():
        path.write_text(text, encoding="latin-1")
        with pytest.raises(PositionsError, match=words) as raised:
            load_positions(path)
        assert "delete it" in str(raised.value)
    path.write_text("")
    with pytest.raises(PositionsError, match="holds no positions"):
        load_positions(path)
    with pytest.raises(PositionsError, match="cannot be written: No such"):
        save_positions(tmp_path / "none" / "positions.json", positions)


def test_only_a_regular_file_holds_positions(tmp_path: Path) -> None:
    """What is none is not opened: a pipe would wait for its writer, and some devices never end."""
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path, what in (
        (fifo, "a pipe"),
        (link, "a pipe"),
        (Path("/dev/full"), "a device"),
        (Path("/dev/null"), "a device"),
        (tmp_path, "a directory"),
    ):
        words = f"{path} is {what}, and positions are kept in a regular file. Name another one."
        with pytest.raises(PositionsError, match=f"^{words}$"):
            load_positions(path)
        with pytest.raises(PositionsError, match=f"^{words}$"):
            save_positions(path, [])
    assert {one.name for one in tmp_path.iterdir()} == {"fifo", "link"}


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "positions"
    os.mkfifo(path)
    monkeypatch.setattr(module, "_is_file", lambda _: True)
    with pytest.raises(PositionsError, match="is a pipe"):
        load_positions(path)


def test_no_more_is_read_than_a_file_of_positions_may_have(tmp_path: Path) -> None:
    path = tmp_path / "positions"
    with path.open("wb") as file:
        file.truncate(2**40)  # it takes no room
    with pytest.raises(PositionsError, match=r"is larger than 67,108,864 bytes.* Name another file"):
        load_positions(path)


def test_no_file_is_written_that_could_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "positions"
    monkeypatch.setattr(module, "MOST", 1000)
    save_positions(path, [Position(Kind.TRADE, "GOLD", 7, 9)])
    before = path.read_text()
    with pytest.raises(PositionsError, match="20 positions are more than a file of 1,000 bytes holds"):
        save_positions(path, [Position(Kind.TRADE, f"GOLD{n}", 7, 9) for n in range(20)])
    assert path.read_text() == before
    assert load_positions(path) == [Position(Kind.TRADE, "GOLD", 7, 9)]
