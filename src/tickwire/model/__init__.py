"""Values without I/O: instruments, the catalogue, trades, books."""

from .catalogue import ALIASES, Catalogue
from .decimals import EXACT, MAX_DECIMALS, QUANTA, decimals_of, fixed
from .ending import Ending
from .events import Book, Correction, Direction, Event, Kind, Level, Position, Trade, kind_of, turnover
from .fitness import (
    LARGEST,
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
    time_fault,
    trade_fault,
)
from .form import METALS, family_of, looks_like, market_of
from .histogram import Histogram
from .instrument import RULES, Family, Instrument, Market, Reach, tick_size, tick_sizes
from .kline import Kline, KlineState, KlineType, KlineUpdate
from .moment import moment
from .nearest import nearest, searches
from .price_limits import PriceLimits, limit_percent, price_limits
from .room import Room, with_room
from .slow import Slow
from .suspension import REASON_SEPARATOR, UNSAID, Suspension, SuspensionList
from .trading_date import earliest_open, trading_date
from .turns import in_turn
from .upstream_use import CodesInUse, Quota, UpstreamUse

__all__ = [
    "ALIASES",
    "EXACT",
    "LARGEST",
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
    "Correction",
    "Direction",
    "Ending",
    "Entrance",
    "Event",
    "Family",
    "Fault",
    "Histogram",
    "Instrument",
    "Kind",
    "Kline",
    "KlineState",
    "KlineType",
    "KlineUpdate",
    "Level",
    "Market",
    "Position",
    "PriceLimits",
    "Quota",
    "Reach",
    "Room",
    "Rule",
    "Slow",
    "Suspension",
    "SuspensionList",
    "Trade",
    "UpstreamUse",
    "bar_fault",
    "book_fault",
    "decimals_of",
    "earliest_open",
    "event_fault",
    "family_of",
    "fixed",
    "in_turn",
    "is_crossed",
    "kind_of",
    "limit_percent",
    "looks_like",
    "market_of",
    "moment",
    "nearest",
    "price_limits",
    "searches",
    "side",
    "tick_size",
    "tick_sizes",
    "time_fault",
    "trade_fault",
    "trading_date",
    "turnover",
    "with_room",
]
