"""`tickwire import`: what it says of files and sources that are not what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from .commands import DONE, FAILED, WRONG, Ended, tickwire

HEADER = "code,timestamp_s,open,high,low,close\n"
BAR = "GOLD,1788529080,1,2,1,2\n"


async def imported(folder: Path, text: str, *arguments: str) -> Ended:
    """The command on a file of that text."""
    (folder / "bars.csv").write_text(text)
    file = str(folder / "bars.csv")
    return await tickwire(folder, "import", file, "--data-dir", str(folder / "data"), *arguments)


async def test_bars_are_imported_for_a_source(tmp_path: Path) -> None:
    done = await imported(tmp_path, HEADER + BAR, "--source", "exchange:binance")
    assert done.status == DONE
    assert done.out.startswith("1 bars of 1 codes imported for exchange:binance, 9 larger ones rolled up, 0 ")


async def test_a_file_of_which_nothing_is_left_fails(tmp_path: Path) -> None:
    done = await imported(tmp_path, f"{HEADER}NOSUCH,1788529080,1,2,1,2\n")
    assert (done.status, done.out) == (FAILED, "")
    assert "unknown code 'NOSUCH'" in done.err
    assert "Nothing was imported: 1 lines skipped" in done.err


@pytest.mark.parametrize("source", ["", "simulater", "GOLD"])
async def test_a_source_that_there_is_not_is_refused(tmp_path: Path, source: str) -> None:
    done = await imported(tmp_path, HEADER + BAR, "--source", source)
    assert (done.status, done.out) == (WRONG, "")
    assert f"--source '{source}' names no source: /readyz shows its name" in done.err
    assert not (tmp_path / "data").exists()
