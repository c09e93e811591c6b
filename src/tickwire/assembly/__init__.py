"""The composition root: which sides run in this process, on which stores."""

from .build import assemble, build, is_guarded
from .engine import Engine
from .tasks import watched

__all__ = ["Engine", "assemble", "build", "is_guarded", "watched"]
