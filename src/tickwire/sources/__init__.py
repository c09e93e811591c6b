"""Data in: the contract of a source, and the sources."""

from .health import Health, Status
from .judge import Judge
from .last_values import LAST
from .published import Published
from .publishers import PUBLISHER
from .recording import Recording
from .replay import Csv, Load, Moments, QuoteTrades, Reel, Replay, decimals_in
from .simulator import DEFAULT_CODES, Simulator
from .source import Again, Began, Broke, History, Mended, Resent, Snapshot, Source

__all__ = [
    "DEFAULT_CODES",
    "LAST",
    "PUBLISHER",
    "Again",
    "Began",
    "Broke",
    "Csv",
    "Health",
    "History",
    "Judge",
    "Load",
    "Mended",
    "Moments",
    "Published",
    "QuoteTrades",
    "Recording",
    "Reel",
    "Replay",
    "Resent",
    "Simulator",
    "Snapshot",
    "Source",
    "Status",
    "decimals_in",
]
