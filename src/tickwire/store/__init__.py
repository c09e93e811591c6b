"""Data at rest: the catalogue of instruments, bars, tokens, suspensions, and where sequences begin."""

from .backlog import Backlog
from .catalogue import load_catalogue, load_instruments
from .copying import Copied, copy
from .data_directory import DataDirectory, make_data_directory
from .database import UNANSWERED, Database
from .file import File
from .gaps import GapStore
from .instruments import InstrumentStore
from .kline_store import IMPORTED, KlineStore, past_note
from .opening import klines_of, open_file, open_tokens, server_klines_of
from .overlay import Overlay
from .postgres import reach_postgres
from .postgres_file import PostgresFile
from .sqlite_file import SqliteFile
from .sqlite_klines import SqliteKlineStore
from .suspension_file import read_suspensions, suspension_of
from .suspensions import SuspensionStore
from .tokens import KEY_FILE, TokenStore

__all__ = [
    "IMPORTED",
    "KEY_FILE",
    "UNANSWERED",
    "Backlog",
    "Copied",
    "DataDirectory",
    "Database",
    "File",
    "GapStore",
    "InstrumentStore",
    "KlineStore",
    "Overlay",
    "PostgresFile",
    "SqliteFile",
    "SqliteKlineStore",
    "SuspensionStore",
    "TokenStore",
    "copy",
    "klines_of",
    "load_catalogue",
    "load_instruments",
    "make_data_directory",
    "open_file",
    "open_tokens",
    "past_note",
    "reach_postgres",
    "read_suspensions",
    "server_klines_of",
    "suspension_of",
]
