"""The same without pytest: one server for a class, told between tests what to do."""

from __future__ import annotations

import unittest
from decimal import Decimal
from queue import SimpleQueue

from feed import Feed, State, Tick

from tickwire.testing import AllTickServer


class FeedTest(unittest.TestCase):
    server: AllTickServer

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = AllTickServer(quiet=True, seed=7)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        self.ticks: SimpleQueue[Tick] = SimpleQueue()
        self.states: SimpleQueue[State] = SimpleQueue()
        feed = Feed(self.server.websocket_url("stock"), ["AAPL.US"], self.ticks.put, self.states.put)
        self.feed = self.enterContext(feed)
        self.first = self.ticks.get(timeout=5)

    def test_a_trade_arrives(self) -> None:
        self.server.trade("AAPL.US", "190.01", volume=100, direction="buy")
        tick = self.ticks.get(timeout=5)
        self.assertEqual((tick.price, tick.volume), (Decimal("190.01"), 100))
        self.assertGreater(tick.seq, self.first.seq)

    def test_a_limit_up_moves_the_price(self) -> None:
        with self.server.run({"do": "limit-up", "codes": ["AAPL.US"], "percent": 10}):
            self.assertEqual(self.server.state("AAPL.US"), "limit-up")
            self.server.trade("AAPL.US", self.first.price)
            self.assertGreater(self.ticks.get(timeout=5).price, self.first.price)
        self.assertEqual(self.server.state("AAPL.US"), "open")


if __name__ == "__main__":
    unittest.main()
