"""What passes between the market side and the client side."""

from .contract import Inlet, Lack, Receiver, StreamEvent, StreamReceiver, Supplier

__all__ = ["Inlet", "Lack", "Receiver", "StreamEvent", "StreamReceiver", "Supplier"]
