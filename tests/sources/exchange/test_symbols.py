"""The table of symbols, and how it is extended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickwire.errors import InputError
from tickwire.model import Market
from tickwire.sources.exchange.symbols import load_symbols, symbols_at

from .reading import CATALOGUE


def test_every_crypto_code_of_the_catalogue_has_a_symbol() -> None:
    crypto = {one.code for one in CATALOGUE if one.market is Market.CRYPTO}
    symbols = symbols_at("binance", load_symbols())
    assert symbols.keys() == crypto
    assert symbols["BTCUSDT"] == "BTC/USDT"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.csv", "code,symbol\nBTCUSDT,BTC/EUR\nGOLD,PAXG/USDT\nPAXGUSDT,\n"),
        (
            "own.csv",
            "venue,symbol,code\n,BTC/EUR,BTCUSDT\r\n,PAXG/USDT,GOLD\r\n,,PAXGUSDT\r\nkraken,BTC/USD,BTCUSDT\r\n",
        ),
        (
            "own.toml",
            '[[symbol]]\ncode="BTCUSDT"\nsymbol="BTC/EUR"\n[[symbol]]\ncode="GOLD"\nsymbol="PAXG/USDT"\n[[symbol]]\ncode="PAXGUSDT"\nsymbol=""\n',
        ),
    ],
)
def test_the_user_extends_it(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    symbols = load_symbols([path])
    found = symbols_at("binance", symbols)
    assert (found["BTCUSDT"], found["GOLD"], found["ETHUSDT"]) == ("BTC/EUR", "PAXG/USDT", "ETH/USDT")
    assert "PAXGUSDT" not in found
    assert symbols_at("kraken", symbols)["BTCUSDT"] == ("BTC/USD" if "kraken" in text else "BTC/EUR")


def test_a_line_of_a_venue_counts_more_than_a_later_one_of_all(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        '[[symbol]]\ncode="BTCUSDT"\nsymbol="BTC/USD"\nvenue="kraken"\n[[symbol]]\ncode="BTCUSDT"\nsymbol="X/Y"\n'
    )
    symbols = load_symbols([path])
    assert symbols_at("kraken", symbols)["BTCUSDT"] == "BTC/USD"
    assert symbols_at("binance", symbols)["BTCUSDT"] == "X/Y"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("own.csv", "code,symbol\nBTC USDT,BTC/USDT\n", "line 2: expected code,symbol"),
        ("own.csv", "code,symbol,venue\nBTCUSDT,BTC/USDT,Bin ance\n", "line 2: expected code,symbol"),
        ("own.csv", "name,symbol\n", "line 1: the columns are"),
        ("own.toml", "[[symbol]]\ncode=1\nsymbol='x'\n", "symbol 1: expected code"),
        ("own.toml", "[[symbol]]\ncode='x'\nsymbol='x'\nother='x'\n", "symbol 1: expected code"),
        ("own.toml", "symbol=[1]\n", "symbol 1: expected code"),
        ("own.toml", "x=1\n", "nothing but"),
        ("own.toml", "=\n", "is not TOML"),
    ],
)
def test_a_table_that_cannot_be_read_is_told(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_symbols([path])
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["none.csv", "none.toml"])
def test_a_table_that_is_not_there_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_symbols([tmp_path / name])
