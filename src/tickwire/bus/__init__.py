"""What passes between the market side and the client side."""

from .contract import Inlet, Receiver, StreamEvent

__all__ = ["Inlet", "Receiver", "StreamEvent"]
