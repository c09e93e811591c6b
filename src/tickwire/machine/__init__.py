"""What a server has of the machine that it runs on: clocks, dice, disk and network, handed in everywhere."""

from .disk import Damaged, Disk, Seen, damaged_name
from .fanout import ACCELERATED, Direct, carry, carry_in_python
from .machine import REAL, Machine, VirtualTime
from .memory import memory
from .network import Data, Network, Writer, untaken
from .supervisor import ALONE, Supervisor

__all__ = [
    "ACCELERATED",
    "ALONE",
    "REAL",
    "Damaged",
    "Data",
    "Direct",
    "Disk",
    "Machine",
    "Network",
    "Seen",
    "Supervisor",
    "VirtualTime",
    "Writer",
    "carry",
    "carry_in_python",
    "damaged_name",
    "memory",
    "untaken",
]
