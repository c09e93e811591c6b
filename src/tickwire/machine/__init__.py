"""What a server has of the machine that it runs on: clocks, dice, disk and network, handed in everywhere."""

from .disk import Damaged, Disk, Seen, damaged_name
from .machine import REAL, Machine
from .network import Data, Network, Writer

__all__ = ["REAL", "Damaged", "Data", "Disk", "Machine", "Network", "Seen", "Writer", "damaged_name"]
