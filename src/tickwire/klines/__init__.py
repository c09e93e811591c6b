"""Bars from ticks: pure, exact, and the same in any order within the late window."""

from .flat import filled
from .grid import SECONDS, Grid
from .past import Past, Reach
from .series import Closed, Rules, Series, roll_up, smaller

__all__ = ["SECONDS", "Closed", "Grid", "Past", "Reach", "Rules", "Series", "filled", "roll_up", "smaller"]
