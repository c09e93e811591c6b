"""Data in: the contract of a source, and the sources."""

from .health import Health, Status
from .judge import Judge
from .published import Published
from .publishers import PUBLISHER, Publisher
from .recording import Recording, Scan
from .replay import Csv, Mapper, QuoteTrades, Reel, Replay, widened
from .simulator import DEFAULT_CODES, Simulator
from .source import Began, Broke, History, Resent, Snapshot, Source, Yielded

__all__ = [
    "DEFAULT_CODES",
    "PUBLISHER",
    "Began",
    "Broke",
    "Csv",
    "Health",
    "History",
    "Judge",
    "Mapper",
    "Published",
    "Publisher",
    "QuoteTrades",
    "Recording",
    "Reel",
    "Replay",
    "Resent",
    "Scan",
    "Simulator",
    "Snapshot",
    "Source",
    "Status",
    "Yielded",
    "widened",
]
