"""Fan-out: topics, views, lanes."""

from .hub import Hub, flow_of
from .lane import Client
from .topic import Topic

__all__ = ["Client", "Hub", "Topic", "flow_of"]
