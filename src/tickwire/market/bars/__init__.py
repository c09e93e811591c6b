"""The bars of a source: computed from its trades, kept in a store, read as one."""

from .archive import ALIVE, Archive
from .bars import Bars, Reading
from .batches import Batches
from .pasts import Pasts
from .retention import Retention
from .tape_notes import FLOOR, PREFIX, TapeNotes

__all__ = [
    "ALIVE",
    "FLOOR",
    "PREFIX",
    "Archive",
    "Bars",
    "Batches",
    "Pasts",
    "Reading",
    "Retention",
    "TapeNotes",
]
