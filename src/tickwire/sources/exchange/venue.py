"""One venue through ccxt: its class made exact, its connection, what its errors say.

ccxt is an extra and untyped; it is imported here, and only when an exchange is used.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from math import inf
from typing import Any

from ...errors import SettingsError, TickwireError
from ...model import MAX_DECIMALS

QUOTE_VOLUME = {"binance": 7, "binanceus": 7, "binanceusdm": 7}
"""Where the venue's own bar holds its turnover, which ccxt leaves out."""
SECRETS = frozenset(
    "apiKey secret uid accountId login password twofa privateKey walletAddress token headers cookies".split()
)
"""Options whose values are never shown."""
LONGEST_REASON = 200
TICK_SIZE, DECIMAL_PLACES = 4, 2
"""How ccxt gives the precision of a market: as its smallest step, or as a number of decimals."""
MOST_BARS, USUAL_BARS = 1000, 500
NO_LIMIT = {"refillRate": 1e12, "maxWeight": inf}
"""For the two ways in which ccxt's throttler counts."""

Bad = Callable[[Exception], None]


class Venue:
    """A venue that was chosen, and what is told to ccxt about it."""

    def __init__(self, name: str, options: Mapping[str, Any], symbols: Mapping[str, str]) -> None:
        """`symbols` are those that may be asked for, by code.

        Raises SettingsError if ccxt is missing, does not know the venue, has no WebSocket API of it or
        refuses the options.
        """
        self._class = _exact(_found(name), QUOTE_VOLUME.get(name))
        self._options = {**options, "newUpdates": True}
        self._secrets = [*_secrets(options)]
        try:
            if name == "binance" and not any(":" in symbol for symbol in symbols.values()):
                # Markets of contracts are on other hosts, and as many again.
                spot = {"fetchMarkets": {"types": ["spot"]}}
                self._options["options"] = {**spot, **options.get("options", {})}
            sample = self._class(self._options)
        except Exception as error:
            raise SettingsError(f"ccxt refuses the options of {name}: {self.said(error)}.") from None
        self.most_bars = _most_bars(sample.features)
        """Bars that one request gives at most."""

    @asynccontextmanager
    async def connected(self, before: Any = None) -> AsyncIterator[Any]:
        """An instance of the class with its markets loaded, or with those of the one before it.

        Raises what ccxt raises, which may be any exception.
        """
        exchange = self._class(self._options)
        try:
            if before is not None:
                exchange.set_markets_from_exchange(before)
            else:
                await exchange.load_markets()
            exchange.number = Decimal
            yield exchange
        finally:
            # What waits for its turn gets it now, and finds the instance closed; else it would wait on.
            for throttler in (exchange.throttler, *(one.throttle for one in exchange.clients.values())):
                throttler.config.update(NO_LIMIT)
            await exchange.close()

    def said(self, error: BaseException) -> str:
        """What an error says, in one line without secrets, queries and passwords."""
        if isinstance(error, TickwireError):
            return str(error)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = re.sub(r"\?[^\s\"']*", "?…", text)
        text = re.sub(r"//[^/@\s]+@", "//…@", text)
        text = "".join(one if one.isprintable() else " " for one in text)
        return " ".join(text.split())[:LONGEST_REASON].rstrip(".")


def _found(venue: str) -> type[Any]:
    try:
        ccxt = importlib.import_module("ccxt.pro")
    except ImportError:
        raise SettingsError("Exchanges need one more package: pip install 'tickwire[exchanges]'.") from None
    if venue not in ccxt.exchanges:
        if venue in importlib.import_module("ccxt").exchanges:
            raise SettingsError(f"ccxt has no WebSocket API of {venue}. Choose another exchange.")
        near = difflib.get_close_matches(venue, ccxt.exchanges, 1)
        hint = f"Did you mean exchange:{near[0]}?" if near else f"ccxt {ccxt.__version__} lists them."
        raise SettingsError(f"Unknown exchange {venue!r}. {hint}")
    found: type[Any] = getattr(ccxt, venue)
    has = found().has
    if lacking := [name for name in ("watchTrades", "watchOrderBook") if not has.get(name)]:
        raise SettingsError(f"ccxt has no {lacking[0]} for {venue}. Choose another exchange.")
    return found


def _exact(found: type[Any], quote_volume: int | None) -> type[Any]:
    """That class without floats, and with a connection that no message can end."""

    class Exact(found):  # type: ignore[misc]
        unreadable: Bad | None = None
        # As text while markets are loaded: ccxt reads again what it has made of their numbers. Then as
        # Decimal: the sides of a book are kept in order by what can be compared and negated.
        number: Any = str

        @staticmethod
        def safe_float(dictionary: Any, key: Any, default_value: Any = None) -> Any:
            try:
                return _number(dictionary[key])
            except (LookupError, TypeError, ArithmeticError, ValueError):
                return default_value

        @classmethod
        def safe_float_2(cls, dictionary: Any, key1: Any, key2: Any, default_value: Any = None) -> Any:
            return cls.safe_float(dictionary, key1, cls.safe_float(dictionary, key2, default_value))

        def safe_trade(self, trade: Any, market: Any = None) -> Any:
            # Nobody needs the product of price and volume, which of 1e9999999 would take minutes.
            return super().safe_trade({**trade, "cost": "0"}, market)

        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            bar = super().parse_ohlcv(ohlcv, market)
            if quote_volume is None or not isinstance(ohlcv, list) or len(ohlcv) <= quote_volume:
                return [*bar]
            return [*bar, ohlcv[quote_volume]]

        def client(self, url: str) -> Any:
            fresh = url not in (self.clients or ())
            client = super().client(url)
            if fresh:
                self._guard(client)
            return client

        def _guard(self, client: Any) -> None:
            # An error in a message would end ccxt's loop that reads them.
            handle = client.handle_message

            def guarded(message: Any) -> None:
                try:
                    handle(message)
                except Exception as error:
                    if self.unreadable is not None:
                        self.unreadable(error)

            client.handle_message = guarded

    return Exact


def _number(value: Any) -> Decimal:
    number = Decimal(value if isinstance(value, str) else str(value))
    if not number.is_finite():
        raise ValueError(value)
    return number


def _secrets(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if name in SECRETS:
            for one in value.values() if isinstance(value, dict) else (value,):
                if str(one):
                    yield str(one)


def decimals_at(venue: Any, symbol: str) -> tuple[int, int]:
    """The decimals of its prices and volumes; 0 where the venue does not say."""
    precision = venue.markets[symbol].get("precision") or {}
    price, volume = (_decimals(venue, precision.get(name)) for name in ("price", "amount"))
    return min(price, MAX_DECIMALS), min(volume, MAX_DECIMALS)


def _decimals(venue: Any, precision: Any) -> int:
    try:
        number = _number(precision)
        if venue.precisionMode == DECIMAL_PLACES:
            return max(0, int(number))
        exponent = number.normalize().as_tuple().exponent
    except (ArithmeticError, ValueError):
        return 0
    return max(0, -exponent) if venue.precisionMode == TICK_SIZE and isinstance(exponent, int) else 0


def _most_bars(features: Any) -> int:
    found = features.get("spot") if isinstance(features, dict) else None
    for name in ("fetchOHLCV", "limit"):
        found = found.get(name) if isinstance(found, dict) else None
    return min(found, MOST_BARS) if isinstance(found, int) and found > 0 else USUAL_BARS
