"""Values without I/O: instruments, the catalogue, trades, books."""

from .catalogue import ALIASES, Catalogue
from .decimals import EXACT, MAX_DECIMALS, QUANTA, decimals_of, fixed
from .events import Book, Direction, Event, Kind, Level, Trade
from .instrument import RULES, Family, Instrument, Market, tick_size
from .kline import Kline, KlineState, KlineType, KlineUpdate
from .suspension import REASON_SEPARATOR, UNSAID, Suspension, SuspensionList
from .turnover import turnover

__all__ = [
    "ALIASES",
    "EXACT",
    "MAX_DECIMALS",
    "QUANTA",
    "REASON_SEPARATOR",
    "RULES",
    "UNSAID",
    "Book",
    "Catalogue",
    "Direction",
    "Event",
    "Family",
    "Instrument",
    "Kind",
    "Kline",
    "KlineState",
    "KlineType",
    "KlineUpdate",
    "Level",
    "Market",
    "Suspension",
    "SuspensionList",
    "Trade",
    "decimals_of",
    "fixed",
    "tick_size",
    "turnover",
]
