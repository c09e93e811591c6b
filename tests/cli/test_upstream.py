"""Which server a command reads from, and how failures are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tickwire.cli.main import run
from tickwire.cli.upstream import Defaults, address, explained, extension, upstream, valid
from tickwire.client import (
    PLANS,
    Account,
    ClientError,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreadable,
    kline_type_of,
)
from tickwire.errors import SettingsError
from tickwire.model import KlineType

from .commands import FAILED, WRONG

VENDOR = "https://quote.alltick.co"
SECRET = "2b1c-secret"
SERVER = Account("http://user:word@127.0.0.1:8600/x", SECRET, PLANS["free"])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the user's settings file; nothing else is set."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TICKWIRE_URL", "TICKWIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "tickwire" / "client.toml"
    path.parent.mkdir()

    def write(text: str) -> Path:
        path.write_text(text, "utf-8")
        return path

    return write


def test_without_anything_it_is_the_server_on_this_machine(settings: Callable[[str], Path]) -> None:
    found = upstream(None, None, None, None)
    assert found.url == "http://127.0.0.1:8600"
    assert found.token


def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    settings: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings('url = "http://127.0.0.3:3"\ntoken = "file"\nplan = "premium"')
    assert upstream(None, None, None, None)[:3] == ("http://127.0.0.3:3", "file", PLANS["premium"])
    monkeypatch.setenv("TICKWIRE_TOKEN", "environment")
    assert upstream(None, None, "basic", None)[:3] == ("http://127.0.0.3:3", "environment", PLANS["basic"])
    monkeypatch.setenv("TICKWIRE_URL", "http://127.0.0.2:2")
    assert upstream(None, None, None, None)[:2] == ("http://127.0.0.2:2", "environment")
    assert upstream("http://127.0.0.1:1", "flag", None, None)[:2] == ("http://127.0.0.1:1", "flag")


def test_the_file_s_token_and_plan_go_to_its_own_url_only(settings: Callable[[str], Path]) -> None:
    settings(f'url = "{VENDOR}/"\ntoken = "{SECRET}"\nplan = "free"')
    assert upstream(VENDOR, None, None, None)[1:3] == (SECRET, PLANS["free"])
    elsewhere = upstream("http://127.0.0.1:1", None, None, None)
    assert elsewhere.token != SECRET
    assert elsewhere.plan != PLANS["free"]
    with pytest.raises(SettingsError, match=r"No token for example\.org"):
        upstream("https://example.org", None, None, None)


def test_a_file_that_is_named_goes_before_the_user_s_own(
    settings: Callable[[str], Path], tmp_path: Path
) -> None:
    settings('url = "http://127.0.0.3:3"')
    other = tmp_path / "other.toml"
    other.write_text('url = "http://127.0.0.4:4"', "utf-8")
    assert upstream(None, None, None, other).url == "http://127.0.0.4:4"
    with pytest.raises(SettingsError, match=r"Cannot read the settings file .*missing\.toml: No such file"):
        upstream(None, None, None, tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'tokn = "{SECRET}"', "unknown field `tokn`"),
        ("token = 5", "Expected `str | null`, got `int`"),
        (f"token = x{SECRET}", "Invalid value (at line 1, column"),
        ("[url]", "Expected `str | null`, got `object`"),
    ],
)
def test_a_settings_file_that_is_wrong_is_named(
    settings: Callable[[str], Path], text: str, said: str
) -> None:
    path = settings(text)
    with pytest.raises(SettingsError) as caught:
        upstream(None, None, None, None)
    told = str(caught.value)
    assert str(path) in told
    assert said in told
    assert SECRET not in told
    assert all(name in told for name in Defaults.__struct_fields__)


def test_what_is_missing_or_no_plan_or_no_url(settings: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match=r"No token for quote\.alltick\.co: give --token, set TICKWIRE_"):
        upstream(VENDOR, None, None, None)
    with pytest.raises(SettingsError, match=r"'gold' is no plan: use one of free, basic, .*unlimited\.$"):
        upstream(None, None, "gold", None)
    with pytest.raises(SettingsError, match="'foo' is no address of a server, such as http://"):
        upstream("foo", None, None, None)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (Unavailable("no answer: refused"), "`tickwire serve` starts a server here"),
        (Unauthorized("/kline: token invalid (401)", ret=401), "--token"),
        (TooManyRequests("/kline: too many requests (429)", ret=429), "--plan"),
        (Unreadable("/kline: HTTP 404 without an answer"), "AllTick protocol?"),
        (RequestRefused("/kline: code invalid (600)", ret=600), "Codes are case-sensitive"),
    ],
)
def test_an_error_says_where_it_was_and_what_to_do(error: ClientError, remedy: str) -> None:
    with pytest.raises(type(error)) as caught, explained(SERVER):
        raise error
    told = str(caught.value)
    assert told.startswith(f"http://127.0.0.1:8600: {error}. ")
    assert remedy in told
    assert "\n" not in told
    assert caught.value.ret == error.ret


def test_a_password_in_a_url_is_not_shown() -> None:
    assert address(SERVER) == "http://127.0.0.1:8600"


@pytest.mark.parametrize("error", [RequestRefused("no", ret=402), Unreadable("no", status=404)])
def test_a_server_without_an_extension_is_no_tickwire(error: ClientError) -> None:
    with pytest.raises(RequestRefused, match=r"only a Tickwire answers /v1/markets, and this is none"):  # noqa: SIM117
        with extension("markets"):
            raise error


def test_other_refusals_of_an_extension_stay_what_they_are() -> None:
    with pytest.raises(Unauthorized, match="invalid"), extension("markets"):
        raise Unauthorized("token invalid", ret=401)
    with pytest.raises(RequestRefused, match="unauthorized"), extension("markets"):
        raise RequestRefused("code unauthorized", ret=604)


def test_a_value_is_read_or_its_option_is_named() -> None:
    assert valid("--type", kline_type_of, "1h") is KlineType.HOUR
    with pytest.raises(SettingsError, match=r"^--type: '7m' is no interval: use one of 1m, .*\.$"):
        valid("--type", kline_type_of, "7m")


# As a user meets it.
@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ("tail GOLD --url http://127.0.0.1:1", FAILED, "http://127.0.0.1:1: "),
        ("tail GOLD --url foo", WRONG, "'foo' is no address"),
        ("tail GOLD --klines 7m", WRONG, "--klines: '7m' is no interval"),
        ("tail GOLD --raw --json", WRONG, "--raw and --json exclude each other"),
        ("tail GOLD --books 5", WRONG, "5 is no code. --depth 5 says how many levels"),
        ("kline GOLD --type 7m", WRONG, "--type: '7m' is no interval"),
        ("kline GOLD --from yesterday", WRONG, "--from: 'yesterday' is no time such as 2026-09-04"),
        ("kline GOLD --to 2026-13-01", WRONG, "--to: '2026-13-01' is no time"),
        ("kline GOLD --format parquet", WRONG, "Parquet is for a file: name it with -o"),
        ("kline GOLD --json --format csv", WRONG, "--json and --format csv exclude each other"),
        ("kline GOLD -o /nowhere/gold.csv", WRONG, "Cannot write /nowhere/gold.csv: No such file"),
        ("markets --plan gold", WRONG, "'gold' is no plan"),
        ("instruments search gold --config missing.toml", WRONG, "Cannot read the settings file missing"),
    ],
)
def test_a_failure_is_one_line_and_a_status(
    arguments: str,
    status: int,
    said: str,
    settings: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tickwire", *arguments.split()])
    with (tmp_path / "out").open("w+") as out, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", out)  # one that has a number
        with pytest.raises(SystemExit) as ended:
            run()
        out.seek(0)
        assert out.read() == ""
    told = capsys.readouterr().err
    assert ended.value.code == status
    assert told.startswith(f"tickwire: {said}")
    assert told.count("\n") == 1
