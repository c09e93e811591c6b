"""A source that relays another server of the protocol: AllTick itself, or another Tickwire."""

from .demand import UpstreamPlan
from .relay import Relay
from .token_file import TokenFile

__all__ = ["Relay", "TokenFile", "UpstreamPlan"]
