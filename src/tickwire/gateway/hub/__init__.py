"""Fan-out: topics, views, lanes."""

from .hub import Hub
from .lane import Carry, Client, Sparing
from .topic import Topic

__all__ = ["Carry", "Client", "Hub", "Sparing", "Topic"]
