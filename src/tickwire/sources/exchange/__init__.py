"""Live exchanges: trades, books and bars of every venue that ccxt has over WebSocket."""

from .exchange import Exchange
from .symbols import Symbols, load_symbols

__all__ = ["Exchange", "Symbols", "load_symbols"]
