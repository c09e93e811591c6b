"""What is read of a server: by the API, the pages, the metrics, and by other protocols."""

from __future__ import annotations

from ..bus import Supplier
from ..model import Catalogue
from .hub import Hub


class Reads:
    """Reads of both sides. Those that go over to the market side are coroutines, see `bus.Supplier`: they
    raise StoreError where the store is needed and cannot be read, and say what their answers lack. The last
    trade and book of a code are here: what clients were sent last."""

    def __init__(self, catalogue: Catalogue, market: Supplier, hub: Hub) -> None:
        self.catalogue = catalogue
        self.last_trade, self.last_book = hub.last_trade, hub.last_book
        self.serves = market.serve
        self.begin = market.begin
        self.klines = market.klines
        self.gap_page, self.open_gaps = market.gap_page, market.open_gaps
        self.suspension_page = market.suspension_page
        self.static_info, self.states = market.static_info, market.states
        self.last_trades = market.last_trades
        self.figures, self.lacking = market.figures, market.lacking
