"""Tickwire: a market-data server anyone can run that speaks the AllTick protocol."""

__version__ = "0.1.0"
