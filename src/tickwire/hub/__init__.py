"""Fan-out: topics, views, lanes."""

from .hub import Hub
from .lane import Client

__all__ = ["Client", "Hub"]
