from collections.abc import Callable
from typing import TypeVar

from .fanout import Load

Client = TypeVar("Client")

def carry(loads: list[Load[Client]], push: Callable[[Client, bytes], object], /) -> int: ...
