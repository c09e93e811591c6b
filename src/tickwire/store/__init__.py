"""Data at rest: the catalogue of instruments, bars, tokens, suspensions, and where sequences begin."""

from .catalogue import load_catalogue
from .epoch import EpochFile
from .gaps import GapStore
from .instruments import InstrumentStore
from .kline_store import KlineStore, past_note
from .sqlite_klines import SqliteKlineStore
from .suspension_file import read_suspensions, suspension_of
from .suspensions import SuspensionStore
from .tokens import TokenStore

__all__ = [
    "EpochFile",
    "GapStore",
    "InstrumentStore",
    "KlineStore",
    "SqliteKlineStore",
    "SuspensionStore",
    "TokenStore",
    "load_catalogue",
    "past_note",
    "read_suspensions",
    "suspension_of",
]
