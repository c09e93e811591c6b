"""Data at rest: the catalogue of instruments, bars, and where sequences begin."""

from .catalogue import load_catalogue
from .epoch import EpochFile
from .klines import KlineStore, SqliteKlineStore, StoreError

__all__ = ["EpochFile", "KlineStore", "SqliteKlineStore", "StoreError", "load_catalogue"]
