"""Data in: the contract of a source, and the sources."""

from .health import Health, Status
from .judge import Judge
from .published import Published
from .publishers import PUBLISHER
from .recording import Recording
from .replay import Csv, QuoteTrades, Replay, widened
from .simulator import DEFAULT_CODES, Simulator
from .source import Began, Broke, History, Resent, Snapshot, Source

__all__ = [
    "DEFAULT_CODES",
    "PUBLISHER",
    "Began",
    "Broke",
    "Csv",
    "Health",
    "History",
    "Judge",
    "Published",
    "QuoteTrades",
    "Recording",
    "Replay",
    "Resent",
    "Simulator",
    "Snapshot",
    "Source",
    "Status",
    "widened",
]
