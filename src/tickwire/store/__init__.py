"""Data at rest: the catalogue of instruments, bars, and where sequences begin."""

from .catalogue import load_catalogue
from .epoch import EpochFile
from .klines import KlineStore, SqliteKlineStore, past_note

__all__ = ["EpochFile", "KlineStore", "SqliteKlineStore", "load_catalogue", "past_note"]
