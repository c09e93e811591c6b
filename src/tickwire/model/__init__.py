"""Values without I/O: instruments, the catalogue, trades, books."""

from .catalogue import ALIASES, Catalogue
from .decimals import EXACT, MAX_DECIMALS, QUANTA, decimals_of, fixed
from .events import Book, Direction, Event, Kind, Level, Position, Trade, turnover
from .fitness import (
    YEAR_1990,
    YEAR_2100,
    Entrance,
    Fault,
    Rule,
    bar_fault,
    book_fault,
    event_fault,
    is_crossed,
    side,
    trade_fault,
)
from .form import METALS, family_of, looks_like, market_of
from .instrument import RULES, Family, Instrument, Market, Reach, tick_size, tick_sizes
from .kline import Kline, KlineState, KlineType, KlineUpdate
from .moment import moment
from .nearest import nearest, searches
from .suspension import REASON_SEPARATOR, UNSAID, Suspension, SuspensionList
from .turns import in_turn
from .upstream_use import CodesInUse, Quota, UpstreamUse

__all__ = [
    "ALIASES",
    "EXACT",
    "MAX_DECIMALS",
    "METALS",
    "QUANTA",
    "REASON_SEPARATOR",
    "RULES",
    "UNSAID",
    "YEAR_1990",
    "YEAR_2100",
    "Book",
    "Catalogue",
    "CodesInUse",
    "Direction",
    "Entrance",
    "Event",
    "Family",
    "Fault",
    "Instrument",
    "Kind",
    "Kline",
    "KlineState",
    "KlineType",
    "KlineUpdate",
    "Level",
    "Market",
    "Position",
    "Quota",
    "Reach",
    "Rule",
    "Suspension",
    "SuspensionList",
    "Trade",
    "UpstreamUse",
    "bar_fault",
    "book_fault",
    "decimals_of",
    "event_fault",
    "family_of",
    "fixed",
    "in_turn",
    "is_crossed",
    "looks_like",
    "market_of",
    "moment",
    "nearest",
    "searches",
    "side",
    "tick_size",
    "tick_sizes",
    "trade_fault",
    "turnover",
]
