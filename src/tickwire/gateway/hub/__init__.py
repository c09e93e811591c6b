"""Fan-out: topics, views, lanes."""

from .hub import Hub
from .lane import Client
from .topic import Topic

__all__ = ["Client", "Hub", "Topic"]
