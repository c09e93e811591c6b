"""A bus over NATS: between any number of machines.

Subjects, all of them beneath `tw.v1.CLUSTER`:

- `owner`: who owns the streams says so, four times a second, with its epoch;
- `EPOCH.e.MARKET.N`: batches of events of a bucket, for whoever wants them;
- `EPOCH.up.SESSION` and `EPOCH.to.SESSION`: what a client side and the owner say to one another, in pieces
  that are numbered by one. Who misses a number begins a new session;
- `who`: answered by all;
- `node.ID`: answered as long as that market is connected.

So what an owner sends who has been replaced is heard by nobody. The lease stands in a bucket of JetStream.
"""

from .follower import follow
from .lease import Lease, Term, answering
from .names import Names
from .owner import Announced, Owner, hosting
from .roll import Present, call_roll, lease_of, present
from .wire import Access, Wire, connected

__all__ = [
    "Access",
    "Announced",
    "Lease",
    "Names",
    "Owner",
    "Present",
    "Term",
    "Wire",
    "answering",
    "call_roll",
    "connected",
    "follow",
    "hosting",
    "lease_of",
    "present",
]
