"""Data in: the contract of a source, and the sources."""

from .recording import Recording, Scan
from .replay import Csv, Mapper, QuoteTrades, Reel, Replay, widened
from .simulator import DEFAULT_CODES, Simulator
from .source import Source

__all__ = [
    "DEFAULT_CODES",
    "Csv",
    "Mapper",
    "QuoteTrades",
    "Recording",
    "Reel",
    "Replay",
    "Scan",
    "Simulator",
    "Source",
    "widened",
]
