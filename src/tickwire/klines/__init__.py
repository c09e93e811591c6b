"""Bars from ticks: pure, exact, and the same in any order within the late window."""

from .bar import OpenBar
from .flat import filled
from .grid import SECONDS, Grid
from .past import Past, Reach
from .series import FOREVER, Closed, Rules, Series, roll_up, smaller
from .tape import Tape

__all__ = [
    "FOREVER",
    "SECONDS",
    "Closed",
    "Grid",
    "OpenBar",
    "Past",
    "Reach",
    "Rules",
    "Series",
    "Tape",
    "filled",
    "roll_up",
    "smaller",
]
