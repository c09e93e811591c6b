"""Tickwire: a market-data server anyone can run that speaks the AllTick protocol, and a client of it."""

from .exports import __all__, __dir__, __getattr__  # noqa: F401

__version__ = "0.1.0"
