"""The composition root: which sides run in this process, on which stores."""

from .build import assemble, build, is_guarded, settle
from .engine import Engine
from .renewal import renewal_of
from .tasks import watched

__all__ = ["Engine", "assemble", "build", "is_guarded", "renewal_of", "settle", "watched"]
