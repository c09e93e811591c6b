"""Data at rest: the catalogue of instruments, and where sequences begin."""

from .catalogue import load_catalogue
from .epoch import EpochFile

__all__ = ["EpochFile", "load_catalogue"]
