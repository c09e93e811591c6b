"""Data in: the contract of a source, and the sources."""

from .recording import Recording, Scan
from .replay import Mapper, QuoteTrades, Replay, widened
from .simulator import DEFAULT_CODES, Simulator
from .source import Source

__all__ = [
    "DEFAULT_CODES",
    "Mapper",
    "QuoteTrades",
    "Recording",
    "Replay",
    "Scan",
    "Simulator",
    "Source",
    "widened",
]
