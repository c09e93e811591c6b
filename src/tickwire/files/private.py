"""Files that are their owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import structlog

log = structlog.get_logger()


def make_private(*, group: bool = False) -> None:
    """What this process makes from now on is its owner's alone, or may be read by the group too."""
    os.umask(0o027 if group else 0o077)


def keep_private(path: Path) -> None:
    """Takes a file of secrets back from all but its owner, and says so. Raises FileNotFoundError."""
    found = path.stat().st_mode
    if os.name != "posix" or not stat.S_ISREG(found) or not found & 0o077:
        return
    mode = f"{stat.S_IMODE(found):o}"
    try:
        path.chmod(0o600)
    except OSError as error:
        log.warning("others can use a file of secrets", file=str(path), mode=mode, reason=error.strerror)
    else:
        log.warning("others could use a file of secrets: now its owner alone can", file=str(path), mode=mode)
