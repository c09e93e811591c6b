"""What stands under examples/ runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickwire.testing import AllTickServer

from .serving import program_environment

EXAMPLES = Path(__file__).parent.parent / "examples"
CLIENT = EXAMPLES / "testing_a_client"
USING_IT = EXAMPLES / "client"
FEED_TESTS, UNITTESTS = 13, 2


def run(*arguments: str, cwd: Path, **environment: str) -> str:
    """What Python says of it, which must end with 0."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=program_environment(**environment),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_tests_of_a_client_pass() -> None:
    # As a user's are run, who has our plugin because it is installed: not as pyproject.toml says of ours.
    options = [
        "-oaddopts=",
        *(f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest")),
    ]
    said = run("-m", "pytest", *options, str(CLIENT), cwd=EXAMPLES.parent)
    assert re.findall(r"\b(\d+) (\w+)", said.splitlines()[-1])[:1] == [
        (str(FEED_TESTS + UNITTESTS), "passed")
    ]


def test_its_unittests_pass_without_pytest() -> None:
    said = run("-W", "error", "-m", "unittest", "test_unittest", cwd=CLIENT)
    assert f"Ran {UNITTESTS} tests" in said
    assert "\n\nOK\n" in said


@pytest.fixture
def server() -> Iterator[AllTickServer]:
    with AllTickServer() as running:
        yield running


def test_the_client_streams(server: AllTickServer) -> None:
    said = run("-W", "error", "stream.py", "2", cwd=USING_IT, TICKWIRE_URL=server.url)
    for line in ("stock: up", "other: up", "BTCUSDT 7", "AAPL.US 2", "BTCUSDT 1m 7", "GOLD 44", "time is up"):
        assert line in said


def test_the_client_reads_bars(server: AllTickServer) -> None:
    said = run("-W", "error", "bars.py", cwd=USING_IT, TICKWIRE_URL=server.url)
    assert "BTCUSDT: 500 bars" in said
    assert "rows of code, interval, time, open" in said


def test_a_strategy_runs_over_what_was_recorded(tmp_path: Path) -> None:
    at = 1_788_529_064_027
    trades = "".join(f"GOLD,{at + n * 100},{4400 + n % 37},1\n" for n in range(500))
    quotes = "".join(f"GOLD,{at + n * 100 + 50},{4399 + n % 37},1,{4401 + n % 37},1\n" for n in range(500))
    (tmp_path / "trades.csv").write_text(f"code,tick_time_ms,price,volume\n{trades}", "utf-8")
    (tmp_path / "quotes.csv").write_text(
        f"code,tick_time_ms,bid,bid_volume,ask,ask_volume\n{quotes}", "utf-8"
    )
    files = ["--file", str(tmp_path / "trades.csv"), "--file", str(tmp_path / "quotes.csv")]
    folders = ["--record", str(tmp_path / "ticks"), "--data-dir", str(tmp_path / "data")]
    serve = ["-m", "tickwire", "serve", "--port", "0", "--source", "replay", "--speed", "0", "--exit-at-end"]
    run(*serve, *files, *folders, cwd=tmp_path)
    with AllTickServer(history=[tmp_path / "ticks"]) as server:
        said = run("-W", "error", "backtest.py", "GOLD", cwd=USING_IT, TICKWIRE_URL=server.url)
    assert said.startswith("1002 events in ")
    assert re.search(r"^\d\d deals, -?\d+\.\d+ made, [01] held$", said, re.MULTILINE), said
