"""Live exchanges: trades, books and bars of every venue that ccxt has over WebSocket."""

from .exchange import Exchange
from .symbols import load_symbols

__all__ = ["Exchange", "load_symbols"]
