"""`tickwire token`: the real program on a real data directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from tickwire.access import Register, Token
from tickwire.cli import token as module
from tickwire.cli.main import run as run_program
from tickwire.config import DATABASE
from tickwire.model import Instrument, Market
from tickwire.store import InstrumentStore, open_tokens

from ..forks import run as run_forked
from ..serving import program_environment
from ..stores import opened

FAILED, WRONG = 1, 2
SECRET = re.compile(r"tw_[A-Za-z0-9_-]{43}")
NOON = datetime(2026, 9, 4, 12, tzinfo=UTC).timestamp()
MINUTE, HOUR, DAY = 60, 3600, 86_400


class Done(NamedTuple):
    """What a command said."""

    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def tickwire(data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`tickwire token` in this process; it must end with that status, and without a traceback."""
    for name in ("TICKWIRE_PLANS", "TICKWIRE_DATA_DIR", "TICKWIRE_INSTRUMENTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, status: int = 0, here: bool = True) -> Done:
        place = ("--data-dir", str(data_dir)) if here else ()
        monkeypatch.setattr(sys, "argv", ["tickwire", "token", *arguments, *place])
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            run_program()
        done = Done(*capfd.readouterr())
        assert (end.value.code or 0) == status, done
        return done

    return run


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon of 2026-09-04, UTC."""
    clock = type("clock", (), {"time": staticmethod(lambda: NOON)})
    monkeypatch.setattr(module, "time", clock)


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The program as a process of its own."""
    return run_forked(
        "token", *arguments, env=program_environment(COLUMNS="200", NO_COLOR="1", **environment)
    )


def kept(data_dir: Path) -> list[Token]:
    with open_tokens(data_dir / DATABASE) as store:
        return store.tokens()


def found(data_dir: Path, secret: str) -> Token | None:
    """The token that this text opens now."""
    with open_tokens(data_dir / DATABASE) as store:
        return Register(store.tokens(), store.key()).find(secret, time.time())


def create(tickwire: Run, name: str = "desk", *arguments: str) -> str:
    """A new token's text."""
    return tickwire("create", "--name", name, *arguments).out.strip()


# create
def test_a_token_is_printed_once_alone_on_standard_output(tickwire: Run, data_dir: Path) -> None:
    done = tickwire("create", "--name", "desk", "--plan", "premium")
    assert SECRET.fullmatch(done.out.removesuffix("\n"))
    (token,) = kept(data_dir)
    assert done.err == f"Token {token.id} (desk, premium). Note it now: it cannot be shown again.\n"
    assert found(data_dir, done.out.strip()) == token
    for arguments in (["list"], ["list", "--json"], ["rotate", "desk"], ["revoke", "desk"], ["list"]):
        again = tickwire(*arguments)
        assert done.out.strip()[3:] not in again.out + again.err


def test_a_token_by_default_has_no_limits_and_no_end(tickwire: Run, data_dir: Path) -> None:
    before = time.time()
    create(tickwire)
    (token,) = kept(data_dir)
    assert (token.name, token.plan, token.markets, token.codes) == (
        "desk",
        "unlimited",
        frozenset(),
        frozenset(),
    )
    assert (token.admin, token.publish, token.expires, token.revoked) == (False, False, None, None)
    assert before * 1000 - 1 <= token.created <= time.time() * 1000


def test_what_a_token_may_read(tickwire: Run, data_dir: Path) -> None:
    create(tickwire, "a", "--markets", "hk_stock, crypto,", "--codes", "AAPL.US,XAUUSD, GOLD", "--admin")
    (token,) = kept(data_dir)
    assert {*token.markets} == {"hk_stock", "crypto"}
    assert {*token.codes} == {"AAPL.US", "GOLD"}, "an alias is the code that it stands for"
    assert token.admin


def test_a_token_that_may_publish_what_was_defined(tickwire: Run, data_dir: Path) -> None:
    create(tickwire, "first")  # which makes the database
    with opened(InstrumentStore, data_dir / DATABASE) as store:
        store.put(
            Instrument(
                code="MYIDX",
                market=Market.CFD_INDEX,
                price_decimals=2,
                volume_decimals=2,
                turnover_decimals=2,
                levels=1,
            )
        )
    create(tickwire, "b", "--publish", "--codes", "MYIDX")
    token = next(one for one in kept(data_dir) if one.name == "b")
    assert (token.publish, token.admin, token.codes) == (True, False, frozenset({"MYIDX"}))


def test_codes_of_one_s_own_instruments_are_known(tickwire: Run, data_dir: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("code,market,price_decimals,volume_decimals\nMINE,crypto,2,2\n")
    config = tmp_path / "tickwire.toml"
    config.write_text(f'instruments = ["{own}"]\n[plans.mine]\ncodes = 7\n')
    create(tickwire, "desk", "--codes", "MINE", "--plan", "mine", "--config", str(config))
    (token,) = kept(data_dir)
    assert (token.plan, {*token.codes}) == ("mine", {"MINE"})


@pytest.mark.parametrize("plan", ["free", "basic", "premium", "professional", "unlimited"])
def test_every_built_in_plan(tickwire: Run, data_dir: Path, plan: str) -> None:
    create(tickwire, "desk", "--plan", plan)
    assert [token.plan for token in kept(data_dir)] == [plan]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("90m", 90 * MINUTE),
        ("12h", 12 * HOUR),
        ("30d", 30 * DAY),
        ("2w", 14 * DAY),
        ("9999d", 9999 * DAY),
        ("2026-09-05", 12 * HOUR),
        ("2026-09-04T12:00:01", 1),
        ("2026-09-04T18:00Z", 6 * HOUR),
        ("2026-09-04T20:30:00+08:00", HOUR / 2),
        ("2026-09-04 13:00:00.25", HOUR + 0.25),
    ],
)
@pytest.mark.usefixtures("noon")
def test_when_a_token_expires(tickwire: Run, data_dir: Path, text: str, after: float) -> None:
    create(tickwire, "desk", "--expires", text)
    (token,) = kept(data_dir)
    assert token.expires == (NOON + after) * 1000
    assert token.valid(NOON + after - 0.001)
    assert not token.valid(NOON + after)


@pytest.mark.usefixtures("noon")
def test_now_is_past(tickwire: Run, data_dir: Path) -> None:
    text = "2026-09-04T20:00:00+08:00"
    done = tickwire("create", "--name", "desk", "--expires", text, status=WRONG)
    assert done == ("", f"tickwire: --expires {text} is past.\n")
    assert kept(data_dir) == []


PAST = "is past."
NO_TIME = "is neither a date such as 2027-01-31 nor a time from now such as 30d."


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["--plan", "gold"],
            "--plan 'gold' is none of free, basic, premium, professional, unlimited.",
        ),
        (["--plan", "Free"], "--plan 'Free' is none of free,"),
        (["--plan", ""], "--plan '' is none of free,"),
        (["--name", ""], "--name must be 1 to 64 characters without control characters."),
        (["--name", "x" * 65], "--name must be 1 to 64 characters"),
        (["--name", "a\nb"], "--name must be 1 to 64 characters"),
        (["--name", "a\x1b[2Jb"], "--name must be 1 to 64 characters"),
        (["--markets", "hk_stock,mars"], "--markets: 'mars' is none of index, us_stock, hk_stock,"),
        (["--markets", "HK_STOCK"], "--markets: 'HK_STOCK' is none of"),
        (
            ["--codes", "700.HK,NOPE"],
            "--codes: 'NOPE' is unknown. Codes are case-sensitive, such as 700.HK.",
        ),
        (["--codes", "gold"], "--codes: 'gold' is unknown."),
        (["--expires", "soon"], f"--expires 'soon' {NO_TIME}"),
        (["--expires", "30"], f"--expires '30' {NO_TIME}"),
        (["--expires", "-30d"], f"--expires '-30d' {NO_TIME}"),
        (["--expires", "1y"], f"--expires '1y' {NO_TIME}"),
        (["--expires", "2027-02-30"], f"--expires '2027-02-30' {NO_TIME}"),
        (["--expires", "0d"], f"--expires 0d {PAST}"),
        (["--expires", "2020-01-01"], f"--expires 2020-01-01 {PAST}"),
        (["--expires", "0001-01-01T00:00+14:00"], f"--expires 0001-01-01T00:00+14:00 {PAST}"),
        (["--config", "/no/such.toml"], "Cannot read the configuration /no/such.toml: No such file"),
    ],
    ids=lambda value: repr(" ".join(value)) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_line_and_makes_no_token(
    tickwire: Run, data_dir: Path, arguments: list[str], text: str
) -> None:
    done = tickwire("create", "--name", "desk", *arguments, status=WRONG)
    assert done.out == ""
    assert done.err.startswith(f"tickwire: {text}")
    assert len(done.err.splitlines()) == 1
    assert kept(data_dir) == []


def test_a_name_is_taken_once(tickwire: Run, data_dir: Path) -> None:
    first = create(tickwire)
    done = tickwire("create", "--name", "desk", "--plan", "free", status=FAILED)
    text = "There is a token 'desk' already. Choose another --name, or rotate that one."
    assert done == ("", f"tickwire: {text}\n")
    assert found(data_dir, first) is not None
    assert len(kept(data_dir)) == 1


@pytest.mark.parametrize("arguments", [["create"], ["revoke"], ["rotate"], ["nosuch"], ["list", "--jsn"]])
def test_wrong_usage(tickwire: Run, arguments: list[str]) -> None:
    done = tickwire(*arguments, status=WRONG, here=False)
    assert done.out == ""
    assert "token" in done.err
    assert "-h" in done.err


def test_a_data_directory_that_cannot_be_used(tickwire: Run, data_dir: Path) -> None:
    data_dir.write_text("")
    for arguments in (["create", "--name", "a"], ["list"], ["revoke", "a"], ["rotate", "a"]):
        done = tickwire(*arguments, status=FAILED)
        assert done.out == ""
        assert "--data-dir" in done.err
        assert len(done.err.splitlines()) == 1


def test_a_missing_key(tickwire: Run, data_dir: Path) -> None:
    create(tickwire)
    (data_dir / "token.key").unlink()
    for arguments in (["create", "--name", "a"], ["list"], ["revoke", "desk"], ["rotate", "desk"]):
        done = tickwire(*arguments, status=FAILED)
        assert (done.out, "token.key is missing" in done.err) == ("", True)


# list
def test_no_token(tickwire: Run) -> None:
    head = "ID  NAME  PLAN  MAY READ  EXPIRES  STATE\n"
    assert tickwire("list") == (head + "No token: the server lets in whoever reaches it.\n", "")
    assert tickwire("list", "--json") == ("", "")


def test_the_list(tickwire: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch, noon: None) -> None:
    create(tickwire, "one", "--plan", "free", "--markets", "hk_stock", "--codes", "GOLD", "--expires", "1d")
    create(tickwire, "two", "--admin", "--publish", "--expires", "3d")
    create(tickwire, "跟", "--plan", "basic")
    tickwire("revoke", "跟")
    later = type("clock", (), {"time": staticmethod(lambda: NOON + DAY)})
    monkeypatch.setattr(module, "time", later)
    ids = {token.name: token.id for token in kept(data_dir)}
    rows = {line.split()[1]: re.split(r" {2,}", line) for line in tickwire("list").out.splitlines()}
    assert [*rows.pop("NAME")] == ["ID", "NAME", "PLAN", "MAY READ", "EXPIRES", "STATE"]
    assert rows == {
        "one": [ids["one"], "one", "free", "GOLD,hk_stock", "2026-09-05 12:00Z", "expired"],
        "two": [ids["two"], "two", "unlimited (admin) (publish)", "all", "2026-09-07 12:00Z", "valid"],
        "跟": [ids["跟"], "跟", "basic", "all", "never", "revoked 2026-09-04 12:00Z"],
    }
    documents = [json.loads(line) for line in tickwire("list", "--json").out.splitlines()]
    by_name = {one["name"]: one for one in documents}
    assert by_name["one"] == {
        "id": ids["one"],
        "name": "one",
        "plan": "free",
        "markets": ["hk_stock"],
        "codes": ["GOLD"],
        "admin": False,
        "publish": False,
        "created": NOON * 1000,
        "expires": (NOON + DAY) * 1000,
        "revoked": None,
        "state": "expired",
    }
    assert (by_name["two"]["admin"], by_name["two"]["publish"]) == (True, True)
    assert by_name["two"]["state"] == "valid"
    assert (by_name["跟"]["revoked"], by_name["跟"]["state"]) == (NOON * 1000, "revoked 2026-09-04 12:00Z")


def test_the_latest_expiry_that_a_date_can_say_is_listed_and_a_later_one_refused(tickwire: Run) -> None:
    create(tickwire, "desk", "--expires", "9999-12-31T23:59:59.999Z")
    assert "9999-12-31 23:59Z" in tickwire("list").out
    done = tickwire("create", "--name", "b", "--expires", "9999-12-31T23:59-14:00", status=WRONG)
    assert done.err.startswith("tickwire: --expires 9999-12-31T23:59-14:00")


# revoke, rotate
def test_a_revoked_token_opens_nothing_for_good(tickwire: Run, data_dir: Path) -> None:
    secret = create(tickwire)
    (token,) = kept(data_dir)
    for _ in range(2):
        assert tickwire("revoke", "desk") == (f"Token {token.id} (desk) is revoked.\n", "")
        assert found(data_dir, secret) is None
    done = tickwire("rotate", "desk", status=WRONG)
    assert done.out == ""
    assert re.fullmatch(
        rf"tickwire: Token {token.id} \(desk\) is revoked [-0-9]+ [0-9:]+Z\. Create a new one\.\n", done.err
    )
    assert found(data_dir, secret) is None


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_rotated_token_has_another_text_and_is_else_the_same(
    tickwire: Run, data_dir: Path, by: str
) -> None:
    old = create(tickwire, "desk", "--plan", "free", "--codes", "GOLD", "--expires", "1d")
    (before,) = kept(data_dir)
    done = tickwire("rotate", getattr(before, by))
    new = done.out.removesuffix("\n")
    assert SECRET.fullmatch(new)
    assert done.err == (f"Token {before.id} (desk) has a new text. Note it now: it cannot be shown again.\n")
    assert new != old
    (after,) = kept(data_dir)
    assert (found(data_dir, old), found(data_dir, new)) == (None, after)
    fields = [name for name in Token.__struct_fields__ if name != "digest"]
    assert [getattr(after, name) for name in fields] == [getattr(before, name) for name in fields]


@pytest.mark.usefixtures("noon")
def test_an_expired_token_is_not_rotated(
    tickwire: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tickwire, "desk", "--expires", "1h")
    (token,) = kept(data_dir)
    monkeypatch.setattr(module, "time", type("clock", (), {"time": staticmethod(lambda: NOON + HOUR)}))
    done = tickwire("rotate", "desk", status=WRONG)
    assert done == ("", f"tickwire: Token {token.id} (desk) is expired. Create a new one.\n")


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_a_token_that_there_is_not(tickwire: Run, data_dir: Path, command: str) -> None:
    create(tickwire)
    done = tickwire(command, "dest", status=FAILED)
    text = "There is no token 'dest'. `tickwire token list` shows which there are."
    assert done == ("", f"tickwire: {text}\n")
    assert kept(data_dir)[0].revoked is None


# As a process.
def test_the_program_itself(data_dir: Path) -> None:
    place = {"TICKWIRE_DATA_DIR": str(data_dir)}
    created = program("create", "--name", "desk", "--plan", "free", **place)
    assert (created.returncode, bool(SECRET.fullmatch(created.stdout.strip()))) == (0, True)
    listed = program("list", "--json", "--data-dir", str(data_dir))
    assert (listed.returncode, listed.stderr, json.loads(listed.stdout)["name"]) == (0, "", "desk")
    wrong = program("create", "--name", "b", "--plan", "gold", **place)
    assert (wrong.returncode, wrong.stdout, wrong.stderr[:16]) == (WRONG, "", "tickwire: --plan")
    failed = program("revoke", "nobody", **place)
    assert (failed.returncode, failed.stdout) == (FAILED, "")
    revoked = program("revoke", "desk", **place)
    assert (revoked.returncode, revoked.stderr) == (0, "")
    assert found(data_dir, created.stdout.strip()) is None


def test_what_the_store_finds_damaged_does_not_stand_where_the_token_is_read_from(data_dir: Path) -> None:
    place = {"TICKWIRE_DATA_DIR": str(data_dir)}
    assert program("create", "--name", "desk", **place).returncode == 0
    database = data_dir / DATABASE
    database.write_bytes(b"\xff" * 4096 + database.read_bytes()[4096:])
    created = program("create", "--name", "again", **place)
    assert created.returncode == 0
    assert SECRET.fullmatch(created.stdout.strip())
    assert "level=error" in created.stderr


@pytest.mark.parametrize("command", ["create", "list", "revoke", "rotate"])
def test_help_shows_an_example(tickwire: Run, command: str) -> None:
    assert f"Example: tickwire token {command}" in tickwire(command, "--help", here=False).out


@pytest.mark.parametrize("option", ["--markets", "--codes"])
@pytest.mark.parametrize("text", ["", ",", " , "])
def test_a_list_that_is_given_but_empty_makes_no_token_for_everything(
    tickwire: Run, data_dir: Path, option: str, text: str
) -> None:
    done = tickwire("create", "--name", "desk", option, text, status=WRONG)
    assert done == ("", f"tickwire: {option} is empty. Leave it out for a token without that limit.\n")
    assert kept(data_dir) == []


def test_what_it_makes_is_its_owner_s_alone(tickwire: Run, data_dir: Path) -> None:
    os.umask(0)
    tickwire("create", "--name", "desk")
    found = {path.name: path.stat().st_mode & 0o777 for path in (data_dir, *data_dir.iterdir())}
    assert found == {"data": 0o700, "tickwire.db": 0o600, "token.key": 0o600}
