"""What a recorder finds when it starts or goes on: journals that are not sealed, and a gap up to now."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import structlog

from ...errors import InputError
from . import journal
from .folder import Folder
from .footer import read_footer
from .gaps import Gap, GapReason, Stretch, add_gap, moment, set_unreadable_aside
from .journal import Head, Journal
from .sealing import Sealed, seal

log = structlog.get_logger()


def recover(
    folder: Folder,
    source: str,
    *,
    now: int,
    size: int,
    reason: GapReason | None,
    left: Journal | None = None,
) -> tuple[int, int]:
    """Seals what earlier runs left, lists what is missing, and returns where the order goes on, and how many
    events the end of `left` lacks.

    `now` is in microseconds since the epoch, and the end of the last gap. `reason` says why nothing was
    recorded until then; None: that is listed elsewhere. `left` is the journal that was written until now.
    Raises StartError if a journal is of a newer version, and OSError.
    """
    set_unreadable_aside(folder.gaps, folder.damaged)
    told, ended = reason is None, 0
    reason = reason or GapReason.BROKEN_OFF
    following = 1 + max((file.last for file in folder.files()), default=-1)
    received = _last_received(folder)
    found = 0  # where the last journal ends
    for first, path in folder.journals():
        if reason is GapReason.DAMAGED:  # the end of the one before, which was written until then
            _add(folder, reason, received, min(now, ended), source)
        reason, ended = GapReason.BROKEN_OFF, path.stat().st_mtime_ns // 1000
        head = journal.read_head(path)
        if head is None:
            if _set_aside(folder, path):
                reason = GapReason.DAMAGED
            continue
        _forget_half(folder, first, head.id)
        sealed = seal(path, head, folder, size)
        note_losses(folder, head, sealed)
        if sealed.lost_end:
            reason = GapReason.DAMAGED
        received = head.began if sealed.last is None else sealed.last_received
        found = first if sealed.last is None else sealed.last + 1
        following = max(following, found)
        log.info("journal left behind sealed", file=path.name, files=len(sealed.files))
    lost = 0 if left is None else left.head.first + left.events - max(found, left.head.first)
    if left is not None and lost > 0:
        reason, received = GapReason.DAMAGED, received or left.head.began
    if reason is GapReason.DAMAGED or (following and not told):
        _add(folder, reason, received, now, source, lost or None)
    return following, lost


def note_cut(folder: Folder, journal: Journal, sealed: Sealed, now: int) -> None:
    """Lists what the end of a sealed journal lacked. Raises OSError."""
    begin = journal.head.first if sealed.last is None else sealed.last + 1
    lost = journal.head.first + journal.events - begin
    if lost > 0:
        since = journal.head.began if sealed.last is None else sealed.last_received
        _add(folder, GapReason.DAMAGED, since, now, journal.head.source, lost)


def check_room(folder: Folder, seal_bytes: int) -> None:
    """Raises OSError if there is too little room to seal what is left and to go on for a while: a disk that
    has hardly any would stop the recording again at once."""
    left = sum(path.stat().st_size for _, path in folder.journals())
    if shutil.disk_usage(folder.own).free < left + seal_bytes // 4:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.path))


def note_losses(folder: Folder, head: Head, sealed: Sealed) -> None:
    """Lists what a sealed journal lacked before its end. Raises OSError."""
    for loss in sealed.losses:
        add_gap(folder.gaps, loss.gap(GapReason.DAMAGED, head.source))
    if sealed.unfit:
        unfit = Stretch(sealed.first_received, sealed.last_received, sealed.unfit)
        add_gap(folder.gaps, unfit.gap(GapReason.UNFIT, head.source))


def _add(
    folder: Folder, reason: GapReason, begin: int | None, end: int, source: str, events: int | None = None
) -> None:
    # Not before its begin, though the clock may have been set back.
    since = None if begin is None else moment(min(begin, end))
    add_gap(folder.gaps, Gap(reason, since, moment(end), events, source))


def _set_aside(folder: Folder, path: Path) -> bool:
    """Of a journal whose head cannot be read; one that never had any bytes is no loss. Whether it is one."""
    if path.is_file() and not path.stat().st_size:
        path.unlink()
        return False
    folder.damaged.mkdir(exist_ok=True)
    path.replace(folder.damaged / path.name)
    log.warning(
        "journal cannot be read and is set aside", file=str(path), kept_in=str(folder.damaged / path.name)
    )
    return True


def _forget_half(folder: Folder, first: int, journal_id: str) -> None:
    """Removes the files of a journal whose sealing was not finished: it is sealed again from its start."""
    for file in folder.files():
        if file.first >= first:
            try:
                half = read_footer(file.path).journal == journal_id
            except InputError:
                continue
            if half:
                file.path.unlink()


def _last_received(folder: Folder) -> int | None:
    """When the last event was received that is sealed, as far as that can be read."""
    files = folder.files()
    known = []
    for file in files:
        if file.first == files[-1].first:
            try:
                known.append(read_footer(file.path).last_received)
            except InputError as error:
                log.warning("sealed file cannot be read", reason=str(error))
    return max(known, default=None)
