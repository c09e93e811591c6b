"""What is missing of a source: marked in its bars, kept in the gap ledger, and filled where that can be."""

from .backfill import Backfill
from .depths import Depths
from .filling import Filling
from .ledger import Ledger
from .missing import Missing

__all__ = ["Backfill", "Depths", "Filling", "Ledger", "Missing"]
