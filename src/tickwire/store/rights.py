"""Who may read what a server keeps: its owner and, where the settings say so, the group."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import structlog

from ..files.private import make_private
from .data_directory import LOCK
from .epoch import FILE as EPOCH_FILE
from .recordings.folder import Folder
from .tokens import KEY_FILE

OURS = re.compile(rf"(\w+\.db|{EPOCH_FILE}|{LOCK}|{re.escape(KEY_FILE)}|tls)(\W.*)?")
"""The names in a data directory that are ours."""
KEY = ".key"
"""How the names of files end that are nobody else's in any case (`files.private`)."""
OWNER, GROUP = 0o700, 0o750
"""Rights of a folder; a file has them without those to enter."""

log = structlog.get_logger()


def settle_rights(data_dir: Path, recording: Path | None, *, group: bool) -> None:
    """Sees to it that what this process makes from now on, and what it keeps in these folders, is its owner's
    alone, or may be read by the group as well.

    What an older server made there is taken back from others; a line says so. What is not ours is left as it
    is, and so is a folder in which there is more than what is ours.
    """
    if os.name != "posix":
        return
    make_private(group=group)
    rights = GROUP if group else OWNER
    for folder, paths in ((data_dir, _kept(data_dir)), (recording, _recorded(recording, rights))):
        if taken := [path for path in paths if _take_back(path, rights)]:
            log.warning(
                "others could use what the server keeps: it is taken back from them",
                folder=str(folder),
                files=len(taken),
                first=taken[0].name,
            )


def _kept(folder: Path) -> Iterator[Path]:
    """What is ours of a data directory."""
    names = _in(folder)
    ours = [path for path in names if OURS.fullmatch(path.name)]
    for path in ours:
        yield path
        if path.name == "tls":
            yield from _in(path)
    if ours and len(ours) == len(names):
        yield folder


def _recorded(folder: Path | None, rights: int) -> Iterator[Path]:
    """What is ours of a folder that is recorded into, or of those in it that are of one source each.

    There may be many files, so this looks at them once: a folder of our own that has its rights was the last.
    """
    for one in () if folder is None else (folder, *_in(folder)):
        own = Folder(one).own
        if own.is_symlink() or not own.is_dir() or stat.S_IMODE(own.stat().st_mode) == rights:
            continue
        kinds = [path for path in _in(one) if path.name.startswith("kind=")]
        for top in (*kinds, own):
            for parent, _, names in os.walk(top, topdown=False):
                yield from (Path(parent, name) for name in names)
                yield Path(parent)
        if len(kinds) + 1 == len(_in(one)):
            yield one


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # whoever needs it says so
        return []


def _take_back(path: Path, rights: int) -> bool:
    """Gives a file or a folder its rights; returns whether others had more until now."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            rights &= 0o666
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or path.suffix == KEY:
            return False
        if stat.S_IMODE(mode) != rights:
            path.chmod(rights)
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("others may use what the server keeps", file=str(path), reason=error.strerror)
        return False
    return bool(mode & 0o077 & ~rights)
