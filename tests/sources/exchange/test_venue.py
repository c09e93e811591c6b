"""Which venues can be used, and what is said of those that cannot."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import pytest
import structlog

from tickwire.errors import InputError, SettingsError
from tickwire.machine import REAL
from tickwire.model import Kind
from tickwire.sources import Status
from tickwire.sources.exchange import Exchange, load_symbols
from tickwire.sources.exchange.venue import Venue

from .binance import binance
from .reading import CATALOGUE, MACHINE, exchange, reading

pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")


def use(venue: str, **options: Any) -> Exchange:
    return Exchange(venue, CATALOGUE, load_symbols(), options=options, **MACHINE)


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        ("binnance", "Unknown exchange 'binnance'. Did you mean exchange:binance?"),
        ("Exchange", "Unknown exchange 'Exchange'"),
        ("__version__", "Unknown exchange '__version__'"),
        ("../x", "Unknown exchange '../x'"),
        ("zaif", "ccxt has no WebSocket API of zaif. Choose another exchange."),
        ("bydfi", "ccxt has no watchTrades for bydfi. Choose another exchange."),
    ],
)
def test_a_venue_that_cannot_be_used_is_told(venue: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        use(venue)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_without_ccxt_the_command_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ccxt.pro", None)
    with pytest.raises(SettingsError) as caught:
        use("binance")
    assert str(caught.value) == "Exchanges need one more package: pip install 'tickwire[exchanges]'."


def test_ccxt_is_not_imported_before_it_is_used() -> None:
    import subprocess

    code = "import sys, tickwire.sources.exchange; sys.exit('ccxt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_that_ccxt_refuses_are_told_without_their_secrets() -> None:
    with pytest.raises(SettingsError) as caught:
        use("binance", options=7, secret="hunter2hunter2")
    assert str(caught.value).startswith("ccxt refuses the options of binance: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("venue", ["binance", "kraken", "okx", "coinbase", "bybit", "bitstamp", "kucoin"])
def test_well_known_venues_can_be_used(venue: str) -> None:
    source = use(venue)
    assert source.name == f"exchange:{venue}"
    assert source.serves(CATALOGUE["BTCUSDT"])
    assert not source.serves(CATALOGUE["GOLD"])
    assert source.history is not None
    assert 1 <= source.history.most <= 1000
    assert source.room(Kind.TRADE, ["BTCUSDT"]) == ["BTCUSDT"]
    assert not source.simulated


def test_codes_of_other_sources_are_left_to_them() -> None:
    source = Exchange("binance", CATALOGUE, load_symbols(), keep=["GOLD", "BTCUSDT"], **MACHINE)
    assert source.codes == {"BTCUSDT"}
    with pytest.raises(SettingsError, match=r"none of the codes GOLD, 700.HK|none of the codes 700.HK, GOLD"):
        Exchange("binance", CATALOGUE, load_symbols(), keep=["GOLD", "700.HK"], **MACHINE)


async def test_a_symbol_that_the_venue_has_not_is_told() -> None:
    async with binance(REAL.millis) as venue:
        source = exchange(venue.options, keep=["BTCUSDT", "ADAUSDT"])
        with structlog.testing.capture_logs() as logs:
            async with reading(source) as reader:
                await reader.until(lambda: source.health.status is Status.UP)
        (line,) = [one for one in logs if one["event"] == "not traded there"]
        assert line["codes"] == "ADAUSDT (ADA/USDT)"
        assert "--symbols" in line["remedy"]
        assert source.codes == {"BTCUSDT"}
        assert not source.serves(CATALOGUE["ADAUSDT"])
        source = exchange(venue.options, keep=["ADAUSDT"])
        with pytest.raises(InputError, match=r"exchange:binance trades none of ADAUSDT \(ADA/USDT\)"):
            await anext(source.events())


async def test_secrets_are_in_no_log_and_no_reason() -> None:
    async with binance(REAL.millis) as venue:
        secrets = {"apiKey": "key-8d1f6e", "secret": "secret-77ab01", "password": "pass-11cc02"}
        venue.refuse = True
        source = exchange(venue.options | secrets)
        with structlog.testing.capture_logs() as logs:
            async with reading(source) as reader:
                await reader.until(lambda: source.health.status is Status.DOWN)
        told = f"{logs} {source.health.reason} {source!r} {reader.told}"
        assert not any(secret in told for secret in secrets.values())


def test_reasons_are_one_line_without_secrets() -> None:
    venue = Venue("binance", {"apiKey": "key-8d1f6e", "headers": {"X": "deadbeef01"}}, {})
    text = "GET https://me:pw@x.example/a?signature=01&k=2\nkey-8d1f6e deadbeef01 \x1b[31m" + "x" * 400
    said = venue.said(ValueError(text))
    assert said.startswith("ValueError: GET https://…@x.example/a?… … … [31m")
    assert len(said) <= 200


def test_two_codes_of_one_symbol_are_refused() -> None:
    symbols = [("BTCUSDT", "BTC/USD", ""), ("ETHUSDT", "BTC/USD", "kraken")]
    with pytest.raises(SettingsError, match="BTCUSDT and ETHUSDT are both BTC/USD at kraken"):
        Exchange("kraken", CATALOGUE, symbols, **MACHINE)


def test_what_is_there_of_contracts_is_loaded_only_when_it_is_named() -> None:
    def types(symbol: str, **options: Any) -> Any:
        venue = Venue("binance", options, {"BTCUSDT": symbol})
        return venue._class(venue._options).options["fetchMarkets"]["types"]

    assert types("BTC/USDT") == ["spot"]
    assert "linear" in types("BTC/USDT:USDT")
    assert types("BTC/USDT", options={"fetchMarkets": {"types": ["linear"]}}) == ["linear"]


def test_numbers_of_ccxt_are_exact() -> None:
    made = Venue("binance", {}, {})._class({})
    assert str(made.safe_float({"p": "0.1234567890123456789"}, "p")) == "0.1234567890123456789"
    assert made.safe_float([0.1], 0) == Decimal("0.1")
    assert made.safe_float_2({"b": "79317.70"}, "a", "b") == Decimal("79317.70")
    assert made.safe_float({"p": "NaN"}, "p") is None
    assert made.safe_float({}, "p") is None
