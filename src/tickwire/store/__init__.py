"""Data at rest: the catalogue of instruments, bars, and where sequences begin."""

from .catalogue import load_catalogue
from .epoch import EpochFile
from .kline_store import KlineStore, past_note
from .sqlite_klines import SqliteKlineStore

__all__ = ["EpochFile", "KlineStore", "SqliteKlineStore", "load_catalogue", "past_note"]
