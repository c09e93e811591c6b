"""How much memory a process may use."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

UNKNOWN = 2 * 2**30
"""Bytes, where the system does not say."""


def memory(root: Path = Path("/")) -> int:
    """Bytes: the least of what its control group (v2, v1), its limit of address space and the machine
    allow."""
    return min(_limits(root), default=UNKNOWN)


def _limits(root: Path) -> Iterator[int]:
    yield from _of_groups(root)
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            yield soft
        with suppress(ValueError, OSError):
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_groups(root: Path) -> Iterator[int]:
    """Those of the process' control group and of all above it; there is none where the file says `max`, or
    that it is beyond all memory."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text("ascii", "replace").splitlines()
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            folder, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath(path.lstrip("/"))
        for one in (group, *group.parents):  # the last is the root
            with suppress(OSError, ValueError):
                yield int((folder / one / name).read_text("ascii", "replace"))
