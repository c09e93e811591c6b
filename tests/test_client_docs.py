"""What docs/client.md shows runs, and what it lists is there."""

from __future__ import annotations

import asyncio
import doctest
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tickwire
from tickwire.client import INTERVALS, PLANS, events, history, intervals
from tickwire.testing import AllTickServer

from .serving import program_environment

PAGE = (Path(__file__).parent.parent / "docs" / "client.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
needs_pandas = importlib.util.find_spec("pandas") is None


@pytest.fixture(scope="module")
def server() -> Iterator[AllTickServer]:
    with AllTickServer() as running:
        yield running


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
async def test_a_program_of_the_page_prints_what_it_gets(server: AllTickServer, program: str) -> None:
    if "download(" in program and needs_pandas:
        pytest.skip("needs pandas")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-u", "-c", program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=program_environment(TICKWIRE_URL=server.url),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = ""
        async with asyncio.timeout(20):
            while line := (await process.stdout.readline()).decode():
                said += line
                if "price=Decimal" in line or re.match(r"2026-.*[.\d]+\n|Date|BTCUSDT|GOLD", line):
                    break
            else:
                pytest.fail(said + (await process.stderr.read()).decode())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def test_all_names_of_the_package_that_the_page_uses_are_there() -> None:
    used = set(re.findall(r"\btickwire\.([A-Za-z]\w*)", PAGE)) - {"client"}
    assert used <= {*dir(tickwire)}
    assert len(used) > 5


def test_the_page_names_all_intervals_and_plans() -> None:
    assert [one for one in INTERVALS if f"`{one}`" not in PAGE] == []
    assert [one for one in PLANS if f'`"{one}"`' not in PAGE] == []


@pytest.mark.parametrize("module", [events, history, intervals], ids=lambda module: module.__name__)
def test_examples_in_docstrings_are_right(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0
