"""The composition root: which sides run in this process, on which stores."""

from .build import assemble, build, build_gateway, build_market, is_guarded, settle
from .engine import Engine, GatewayEngine, MarketEngine
from .renewal import renewal_of
from .standby import Fitness, held_directory, read_ahead, trouble_of
from .tasks import watched

__all__ = [
    "Engine",
    "Fitness",
    "GatewayEngine",
    "MarketEngine",
    "assemble",
    "build",
    "build_gateway",
    "build_market",
    "held_directory",
    "is_guarded",
    "read_ahead",
    "renewal_of",
    "settle",
    "trouble_of",
    "watched",
]
