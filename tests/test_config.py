"""Settings: where they come from, which goes first, and how a mistake is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tickwire.access import BUILT_IN
from tickwire.config import ALIVE, Choice, LogLevel, Settings, SourceKind, about, groups, load
from tickwire.errors import SettingsError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("TICKWIRE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "tickwire.toml"


def problem(flags: dict[str, Any], config: Path | None = None) -> str:
    """How the mistake is told."""
    with pytest.raises(SettingsError) as caught:
        load(flags, config)
    return str(caught.value)


# Where settings come from.
def test_a_flag_goes_before_the_environment_that_before_the_file_that_before_the_default(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load({}).port == 8600
    config.write_text("port = 1\nseed = 10\nrate = 4.5\n")
    assert load({}, config).port == 1
    monkeypatch.setenv("TICKWIRE_PORT", "2")
    monkeypatch.setenv("TICKWIRE_SEED", "20")
    assert load({}, config).port == 2
    settings = load({"port": 3}, config)
    assert (settings.port, settings.seed, settings.rate) == (3, 20, 4.5)
    assert load({"port": 3}).rate == 2.0


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_description_and_a_default(name: str) -> None:
    assert about(name).endswith((".", ")."))
    assert not Settings.model_fields[name].is_required()


def test_no_other_setting_is_described_and_the_plans_are_those_that_there_are() -> None:
    described = [name for texts in groups().values() for name in texts]
    assert sorted(described) == sorted(Settings.model_fields)
    assert f": {', '.join(BUILT_IN)}, or one of your own." in about("plan")


def test_the_environment_is_read_with_its_prefix_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("XTICKWIRE_PORT", "2")
    assert load({}).port == 8600


def test_settings_cannot_be_changed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "True"])
def test_a_switch_in_the_environment_is_turned_on_by_a_word(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICKWIRE_STRICT_PROTOCOL", text)
    assert load({}).strict_protocol is True


def test_a_switch_that_is_on_can_be_turned_off_everywhere(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("snapshot_on_subscribe = false\n")
    assert load({}, config).snapshot_on_subscribe is False
    monkeypatch.setenv("TICKWIRE_SNAPSHOT_ON_SUBSCRIBE", "false")
    assert load({}).snapshot_on_subscribe is False
    assert load({"snapshot_on_subscribe": True}).snapshot_on_subscribe is True


def test_names_of_choices_are_read_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_LOG_LEVEL", "warning")
    settings = load({"source": "replay", "file": ["a.csv"]})
    assert settings.log_level is LogLevel.WARNING
    assert settings.source == [Choice(SourceKind.REPLAY)]


# Lists.
@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("BTCUSDT,GOLD", ["BTCUSDT", "GOLD"]),
        (" BTCUSDT , GOLD ,", ["BTCUSDT", "GOLD"]),
        ("all", ["all"]),
        ("", []),
        (",", []),
    ],
)
def test_a_list_is_read_from_text_with_commas(
    text: str, codes: list[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load({"codes": text}).codes == codes
    config.write_text(f'codes = "{text}"\n')
    assert load({}, config).codes == codes
    monkeypatch.setenv("TICKWIRE_CODES", text)
    assert load({}).codes == codes


@pytest.mark.parametrize(
    "name",
    "tls_self_signed tls_cert tls_key host upstream_token upstream_token_file ca_file data_dir plan".split(),
)
@pytest.mark.parametrize("text", ["", " ", ","])
def test_what_is_empty_is_refused(
    name: str, text: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = f"--{name.replace('_', '-')}"
    assert problem({name: text}) == f"{flag}: it is empty: give a value, or leave it out."
    config.write_text(f'{name} = "{text}"\n')
    assert "it is empty" in problem({}, config)
    monkeypatch.setenv(f"TICKWIRE_{name.upper()}", text)
    assert problem({}).startswith(f"TICKWIRE_{name.upper()}: it is empty")


def test_a_list_is_read_from_a_list(config: Path) -> None:
    config.write_text('codes = ["BTCUSDT", "700.HK"]\ninstruments = ["a.toml", "b, c.csv"]\n')
    settings = load({}, config)
    assert settings.codes == ["BTCUSDT", "700.HK"]
    assert settings.instruments == [Path("a.toml"), Path("b, c.csv")]


def test_paths_are_read_from_text_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_FILE", "a.csv, b.csv.gz")
    assert load({"source": "replay"}).file == [Path("a.csv"), Path("b.csv.gz")]


def test_a_list_of_one_place_is_not_joined_to_that_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_CODES", "GOLD,BTCUSDT")
    assert load({"codes": "700.HK"}).codes == ["700.HK"]


# Unknown names.
def test_an_unknown_flag_is_told_with_the_nearest_flag() -> None:
    assert problem({"prot": 1}) == "Unknown setting --prot; the nearest known one is --port."
    assert "the nearest known one is --data-dir." in problem({"datadir": "x"})


def test_an_unknown_variable_is_told_with_the_nearest_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_STRICT_PROTOCOLL", "1")
    expected = "Unknown setting TICKWIRE_STRICT_PROTOCOLL; the nearest known one is TICKWIRE_STRICT_PROTOCOL."
    assert problem({}) == expected


def test_an_unknown_key_is_told_with_its_file_and_the_nearest_key(config: Path) -> None:
    config.write_text("log-level = 'info'\n")
    expected = f"Unknown setting log-level in {config}; the nearest known one is log_level in {config}."
    assert problem({}, config) == expected


def test_a_name_like_no_other_is_still_told_with_a_known_one() -> None:
    name = problem({"zzzzzzzz": 1}).rpartition("--")[2].rstrip(".").replace("-", "_")
    assert name in Settings.model_fields


def test_all_unknown_names_are_told_one_a_line(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("sed = 1\n[server]\nport = 1\n")
    monkeypatch.setenv("TICKWIRE_HOSTS", "x")
    lines = problem({"prot": 1, "port": "no number"}, config).splitlines()
    told = [line.removeprefix("Unknown setting ").split(";")[0] for line in lines]
    assert told == ["--prot", "TICKWIRE_HOSTS", f"sed in {config}", f"server in {config}"]


# Bad values.
BAD = [
    ("port", 70000),
    ("port", -1),
    ("port", "eighty"),
    ("speed", -1),
    ("speed", "nan"),
    ("speed", "inf"),
    ("rate", 0),
    ("rate", 1001),
    ("seed", "x"),
    ("source", "moon"),
    ("log_level", "loud"),
    ("quote_trades", "ask"),
    ("client_buffer", 65535),
    ("hold", "perhaps"),
    ("data_dir", 5),
    ("codes", 5),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_told_with_its_setting_as_it_was_written(
    name: str, value: object, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = problem({name: value})
    assert text.startswith(f"--{name.replace('_', '-')}: ")
    assert repr(value) in text
    config.write_text(f"{name} = {value!r}\n")
    assert problem({}, config).startswith(f"{name} in {config}: ")
    if isinstance(value, str):
        monkeypatch.setenv(f"TICKWIRE_{name.upper()}", value)
        assert problem({}, config).startswith(f"TICKWIRE_{name.upper()}: ")


def test_a_bad_value_that_another_goes_before_is_no_mistake(config: Path) -> None:
    config.write_text("port = 70000\n")
    assert load({"port": 1}, config).port == 1


def test_all_bad_values_are_told_one_a_line() -> None:
    lines = problem({"port": 70000, "rate": 0}).splitlines()
    assert [line.split(":")[0] for line in lines] == ["--port", "--rate"]


# The file.
@pytest.mark.parametrize(
    "content",
    [
        b"port",
        b"port = ",
        b"\xff",
        b"port = 1\nport = 2\n",
        b"port = " + b"9" * 5000,
        b"port = " + b"[" * 5000,
    ],
    ids=lambda content: repr(content[:10]),
)
def test_a_file_that_is_not_toml_is_told(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    text = problem({}, config)
    assert str(config) in text
    assert "\n" not in text


def test_a_file_that_cannot_be_read_is_told_with_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "nosuch.toml"
    assert problem({}, missing) == f"Cannot read the configuration {missing}: No such file or directory."
    assert "Is a directory" in problem({}, tmp_path)


@pytest.mark.parametrize("name", ["flag", "environment"])
def test_a_file_of_any_name_is_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("seed = 10\nrate = 10\nspeed = 10\n")
    monkeypatch.setenv("TICKWIRE_SEED", "20")
    monkeypatch.setenv("TICKWIRE_RATE", "20")
    settings = load({"rate": 30}, Path(name))
    assert (settings.rate, settings.seed, settings.speed) == (30, 20, 10)


# Settings that need one another.
def test_a_replay_without_a_file_is_refused() -> None:
    assert "--file PATH" in problem({"source": "replay"})


@pytest.mark.parametrize("source", [{}, {"source": "simulator"}])
def test_a_file_without_a_replay_is_refused(source: dict[str, str]) -> None:
    assert "--source replay" in problem({"file": "a.csv"} | source)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"speed": 60}, ["--speed", "--source replay"]),
        ({"upstream_url": "http://127.0.0.1:1"}, ["--upstream-url", "--source alltick"]),
        ({"upstream_silence": 5}, ["--upstream-silence", "--source alltick or --source exchange"]),
        ({"source": "publish", "rate": 5}, ["--rate", "--source simulator"]),
        ({"source": "publish;alltick", "upstream_token": "x", "symbols": "x.csv"}, ["--symbols", "exchange"]),
        ({"record_keep_days": 5}, ["--record-keep-days", "--record DIR"]),
    ],
)
def test_a_flag_that_nothing_would_read_is_refused(flags: dict[str, Any], words: list[str]) -> None:
    told = problem(flags)
    for word in words:
        assert word in told


def test_a_flag_that_one_of_several_sources_reads_is_taken() -> None:
    assert load({"source": "publish;simulator", "rate": 5, "quote_trades": "mid"}).rate == 5


def test_what_no_source_reads_may_stand_in_environment_and_file(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("speed = 10\n[exchanges.binance]\n")
    monkeypatch.setenv("TICKWIRE_UPSTREAM_TOKEN", "s3cret")
    assert load({}, config).speed == 10


def test_retention_is_days_by_type() -> None:
    assert load({"retention": "1=90, 8=3650"}).retention == {1: 90, 8: 3650}
    assert load({}).retention == {}


@pytest.mark.parametrize("text", ["1", "1=", "11=5", "0=5", "1=0", "1=-5", "x=5", "1=1.5"])
def test_a_bad_retention_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="--retention: "):
        load({"retention": text})


def test_the_token_of_upstream_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_UPSTREAM_TOKEN", "s3cret")
    settings = load({"source": ["alltick"]})
    assert settings.upstream_token is not None
    assert settings.upstream_token.get_secret_value() == "s3cret"
    assert "s3cret" not in f"{settings} {settings!r}"
    with pytest.raises(SettingsError) as refused:
        load({"source": ["alltick"], "upstream_token": ["s3cret"]})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "choices"),
    [
        ("alltick", [Choice(SourceKind.ALLTICK)]),
        (
            "exchange:binance=BTCUSDT, ETHUSDT;alltick",
            [
                Choice(SourceKind.EXCHANGE, "binance", ("BTCUSDT", "ETHUSDT")),
                Choice(SourceKind.ALLTICK),
            ],
        ),
        (" publish = GOLD ", [Choice(SourceKind.PUBLISH, "", ("GOLD",))]),
    ],
)
def test_sources_are_read_from_text(
    monkeypatch: pytest.MonkeyPatch, text: str, choices: list[Choice]
) -> None:
    monkeypatch.setenv("TICKWIRE_SOURCE", text)
    monkeypatch.setenv("TICKWIRE_UPSTREAM_TOKEN", "t")
    assert load({}).source == choices
    assert load({"source": [str(one) for one in choices]}).source == choices


def test_what_the_environment_tells_clients_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TICKWIRE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TICKWIRE_TOKEN", "t")
    assert load({}).source == [Choice(SourceKind.SIMULATOR)]


def test_what_may_change_while_a_server_runs_are_settings() -> None:
    assert ALIVE - Settings.model_fields.keys() == set()
