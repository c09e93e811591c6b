"""Fan-out: topics, views, lanes."""

from .hub import Hub, Numbered, flow_of
from .lane import Client
from .topic import Topic

__all__ = ["Client", "Hub", "Numbered", "Topic", "flow_of"]
