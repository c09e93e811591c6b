"""A real server inside a test, a notebook or any other program: `AllTickServer`, and a plugin for pytest.

Importing this costs milliseconds: what a server needs is imported when one is made.
"""

from .market_time import MarketTime
from .received import Received
from .scenario import RunningScenario
from .server import AllTickServer

__all__ = ["AllTickServer", "MarketTime", "Received", "RunningScenario"]
