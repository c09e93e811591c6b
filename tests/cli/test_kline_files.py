"""CSV that is opened in a spreadsheet runs nothing there."""

from __future__ import annotations

import asyncio
import csv
import io
from pathlib import Path

import pytest

from tickwire.cli.kline_files import text_cell
from tickwire.testing import AllTickServer

from .commands import tickwire


@pytest.mark.parametrize("code", ["=1+1", "+A", "-A", "@SUM"])
async def test_a_code_that_is_a_formula_is_a_text_in_csv(code: str, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text(f"code,market,price_decimals,volume_decimals\n{code},crypto,2,0\n", "ascii")
    file = tmp_path / "out.csv"
    with AllTickServer(quiet=True, codes=[code], instruments=[str(own)]) as server:
        server.trade(code, "12.50")
        asked = ("kline", "--url", server.url, "--type", "1m", "--num", "1", "-o", str(file), "--", code)
        ended = await asyncio.wait_for(tickwire(tmp_path, *asked), 120)
    assert ended.status == 0, ended.err
    (row,) = csv.DictReader(io.StringIO(file.read_text("utf-8")))
    assert row["code"] == f"'{code}"
    assert row["close"] == "12.50"


@pytest.mark.parametrize("text", ["\tA", "\rA", "=A,B", '="A"\n'])
def test_what_no_code_holds_is_one_field_too(text: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(f"{text_cell(text)},-1.5", newline=""))
    assert (cell, number) == (f"'{text}", "-1.5")
