"""Data at rest: the catalogue of instruments, bars, tokens, suspensions, and where sequences begin."""

from .backlog import Backlog
from .catalogue import load_catalogue, load_instruments
from .data_directory import DataDirectory, make_data_directory
from .database import UNANSWERED, Database
from .gaps import GapStore
from .instruments import InstrumentStore
from .kline_store import IMPORTED, KlineStore, past_note
from .overlay import Overlay
from .sqlite_file import SqliteFile
from .sqlite_klines import SqliteKlineStore
from .suspension_file import read_suspensions, suspension_of
from .suspensions import SuspensionStore
from .tokens import KEY_FILE, TokenStore, open_tokens

__all__ = [
    "IMPORTED",
    "KEY_FILE",
    "UNANSWERED",
    "Backlog",
    "DataDirectory",
    "Database",
    "GapStore",
    "InstrumentStore",
    "KlineStore",
    "Overlay",
    "SqliteFile",
    "SqliteKlineStore",
    "SuspensionStore",
    "TokenStore",
    "load_catalogue",
    "load_instruments",
    "make_data_directory",
    "open_tokens",
    "past_note",
    "read_suspensions",
    "suspension_of",
]
