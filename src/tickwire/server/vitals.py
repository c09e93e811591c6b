"""What a server counts of itself and of who is connected."""

from __future__ import annotations

from typing import NamedTuple

from .guests import Guests
from .lag import LoopLag
from .traffic import Traffic
from .unread import Unread


class Vitals(NamedTuple):
    """`lag` is that of its event loop, `traffic` counts connections and requests, `guests` are who is
    connected, `unread` is what they have not read."""

    lag: LoopLag
    traffic: Traffic
    guests: Guests
    unread: Unread
