"""`tickwire suspend`: the real program on a real data directory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from tickwire.cli.main import app
from tickwire.config import DATABASE
from tickwire.errors import InputError
from tickwire.model import Suspension, SuspensionList
from tickwire.store import SuspensionStore

from .. import forks
from ..serving import program_environment
from ..stores import opened

FAILED, WRONG = 1, 2
COMMANDS = (["suspend"], ["suspend", "add"], ["suspend", "list"], ["suspend", "import"])
TABLE = "exchange,symbol,haltReason,publishDate\n"

Run = Callable[..., str]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`tickwire suspend` in this process, which must succeed; what it says."""
    for name in [name for name in program_environment() if name.startswith("TICKWIRE_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, ["suspend", *arguments, "--data-dir", str(data_dir)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == status, done.output
        return done.output

    return run


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    return forks.run("suspend", *arguments, env=program_environment(COLUMNS="200", NO_COLOR="1"))


def kept(data_dir: Path, exchange: SuspensionList) -> list[Suspension]:
    with opened(SuspensionStore, data_dir / DATABASE) as store:
        return store.page(exchange, [""])[1]


def test_all_that_can_be_said(run: Run, data_dir: Path) -> None:
    said = run(
        *("add", "NASDAQ", "MAGH", "--reason", "H10 Halt", "--reason", "T1 Halt; more"),
        *("--name", "沿浦 Ltd", "--halt", "2025-12-04 19:50:00", "--resume", "2025-12-05"),
        *("--published", "2025-12-04 19:50:01", "--period", "a day", "--source-exchange", "NASDAQ"),
        *("--threshold-price", "145.50"),
    )
    assert said == "MAGH added to the suspensions of nasdaq, published 2025-12-04 19:50:01.\n"
    assert kept(data_dir, SuspensionList.NASDAQ) == [
        Suspension(
            exchange=SuspensionList.NASDAQ,
            symbol="MAGH",
            symbol_name="沿浦 Ltd",
            halt_reason=("H10 Halt", "T1 Halt; more"),
            halt_date="2025-12-04",
            halt_time="19:50:00",
            halt_period="a day",
            resume_date="2025-12-05",
            source_exchange="NASDAQ",
            pause_threshold_price="145.50",
            publish_date="2025-12-04 19:50:01",
        )
    ]


def test_the_same_announcement_again_replaces_it(run: Run, data_dir: Path) -> None:
    add = ("add", "sse", "600000", "--published", "2026-09-03", "--reason")
    assert "added to" in run(*add, "first")
    assert "replaced in" in run(*add, "second")
    assert [one.halt_reason for one in kept(data_dir, SuspensionList.SSE)] == [("second",)]


@pytest.mark.parametrize("exchange", SuspensionList)
def test_it_is_published_now(run: Run, data_dir: Path, exchange: SuspensionList) -> None:
    run("add", exchange, "X", "--reason", "r")
    zone = ZoneInfo(exchange.time_zone)
    published = datetime.fromisoformat(kept(data_dir, exchange)[0].publish_date).replace(tzinfo=zone)
    assert timedelta(seconds=-1) < datetime.now(zone) - published < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "tse", "X", "--reason", "r"], ["'tse'", "nyse"]),
        (["add", "nyse", "X"], ["--reason"]),
        (["add", "nyse"], ["symbol"]),
        (["add", "nyse", "X", "--reason", "r", "--halt", "2026-09-03 19:50"], ["--halt", "19:50:00"]),
        (["add", "nyse", "X", "--reason", "r", "--resume", "2026-02-30"], ["--resume", "'2026-02-30'"]),
        (["add", "nyse", "X", "--reason", "r", "--published", "20260903"], ["--published", "'20260903'"]),
        (["add", "nyse", "X", "--reason", "r", "--published", ""], ["--published"]),
        (["list", "tse"], ["'tse'"]),
        (["import"], ["FILE"]),
    ],
)
def test_wrong_usage(run: Run, data_dir: Path, arguments: list[str], words: list[str]) -> None:
    said = run(*arguments, status=WRONG)
    for word in words:
        assert word in said
    assert not data_dir.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "nyse", "AAPL.US", "--reason", "r"], ["symbol is 'AAPL.US'", "'AAPL'"]),
        (["add", "nyse", "X", "--reason", "a\nb"], ["haltReason is 'a\\nb'", "one line"]),
        (["add", "nyse", "X", "--reason", "r", "--name", "\x1b"], ["symbolName is '\\x1b'"]),
        (["import", "missing.csv"], ["missing.csv", "No such file"]),
    ],
)
def test_what_cannot_be_is_one_line(data_dir: Path, arguments: list[str], words: list[str]) -> None:
    done = program(*arguments, "--data-dir", str(data_dir))
    assert (done.returncode, done.stdout) == (FAILED, "")
    assert len(done.stderr.splitlines()) == 1
    for word in ["tickwire: ", *words]:
        assert word in done.stderr
    assert not data_dir.exists()


def test_nothing_to_list(run: Run, data_dir: Path) -> None:
    assert run("list") == "No suspensions.\n"
    assert json.loads(run("list", "--json")) == []
    assert not data_dir.exists()


@pytest.fixture
def filled(run: Run) -> None:
    for exchange, symbol, *more in (
        ("nyse", "OLD", "--published", "2026-09-01", "--name", "Old Ltd"),
        ("nyse", "NEW", "--published", "2026-09-02", "--halt", "2026-09-02 10:00:00", "--reason", "two"),
        ("sse", "600000", "--published", "2026-09-03", "--halt", "2026-09-03", "--resume", "2026-09-04"),
    ):
        run("add", exchange, symbol, "--reason", "one", *more)


@pytest.mark.usefixtures("filled")
def test_a_list(run: Run) -> None:
    lines = [line.split() for line in run("list").splitlines()]
    assert lines == [
        ["EXCHANGE", "SYMBOL", "PUBLISHED", "HALTED", "RESUMES", "NAME:", "REASON"],
        ["sse", "600000", "2026-09-03", "2026-09-03", "2026-09-04", "one"],
        ["nyse", "NEW", "2026-09-02", "2026-09-02", "10:00:00", "-", "one;", "two"],
        ["nyse", "OLD", "2026-09-01", "-", "-", "Old", "Ltd:", "one"],
    ]
    assert [line.split()[1] for line in run("list", "nyse").splitlines()] == ["SYMBOL", "NEW", "OLD"]


@pytest.mark.usefixtures("filled")
def test_what_is_listed_can_be_imported(run: Run, data_dir: Path, tmp_path: Path) -> None:
    before = {one: kept(data_dir, one) for one in SuspensionList}
    saved = tmp_path / "saved.json"
    saved.write_text(run("list", "--json"), encoding="utf-8")
    assert [one["symbol"] for one in json.loads(run("list", "nyse", "--json"))] == ["NEW", "OLD"]
    (data_dir / DATABASE).unlink()
    said = run("import", str(saved))
    assert said == "3 suspensions imported, 3 of them new, 0 lines skipped.\n"
    assert {one: kept(data_dir, one) for one in SuspensionList} == before


def test_importing_again_changes_nothing(run: Run, data_dir: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE + "nyse,A,x; y,2026-09-03\nnyse,B,,2026-09-03\nnyse,C,,2026-09-04\n")
    assert "3 of them new" in run("import", str(table))
    before = kept(data_dir, SuspensionList.NYSE)
    assert [(one.symbol, one.halt_reason) for one in before] == [("C", ()), ("A", ("x", "y")), ("B", ())]
    assert run("import", str(table)) == "3 suspensions imported, 0 of them new, 0 lines skipped.\n"
    assert kept(data_dir, SuspensionList.NYSE) == before


def test_an_answer_keeps_its_order(run: Run, data_dir: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    data = [{"symbol": symbol, "haltReason": ["r"], "publishDate": "2026-09-03"} for symbol in "CAB"]
    answer.write_text(json.dumps({"success": True, "totalCount": 3, "data": data}))
    run("import", str(answer), "--exchange", "nasdaq")
    assert [one.symbol for one in kept(data_dir, SuspensionList.NASDAQ)] == ["C", "A", "B"]


def test_bad_lines_are_skipped_and_counted(data_dir: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE + "nyse,A,,2026-09-03\n" + "nyse,B,,yesterday\n" * 12)
    done = program("import", str(table), "--data-dir", str(data_dir))
    assert (done.returncode, done.stdout) == (0, "1 suspensions imported, 1 of them new, 12 lines skipped.\n")
    said = done.stderr.splitlines()
    assert len(said) == 10
    for word in (f"{table}, line 3: ", "publishDate is 'yesterday'", "YYYY-MM-DD", "Skipped"):
        assert word in said[0]
    assert [one.symbol for one in kept(data_dir, SuspensionList.NYSE)] == ["A"]


def test_strict_input_stops_at_a_bad_line(run: Run, data_dir: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(TABLE + "nyse,A,,2026-09-03\nnyse,B,,yesterday\n")
    with pytest.raises(InputError, match=r"table\.csv, line 3: publishDate is .*--strict-input"):
        run("import", str(table), "--strict-input")
    assert not data_dir.exists()
    table.write_text(TABLE + "nyse,A,,2026-09-03\n")
    assert "1 of them new" in run("import", str(table), "--strict-input")


def test_what_a_simulator_announces_is_not_listed(run: Run, data_dir: Path) -> None:
    run("add", "nyse", "A", "--reason", "r")
    with opened(SuspensionStore, data_dir / DATABASE) as store:
        store.add(
            "simulator", [Suspension(exchange=SuspensionList.NYSE, symbol="B", publish_date="2026-09-03")]
        )
    assert [one["symbol"] for one in json.loads(run("list", "--json"))] == ["A"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(command: list[str]) -> None:
    for flag in ("-h", "--help"):
        done = CliRunner().invoke(app, [*command, flag])
        assert done.exit_code == 0
        assert "Example: tickwire suspend" in done.output
